/**
 * The order in which a request meets the controls, whatever order the plugins were registered in. What the edge answers reaches
 * no other phase. The audit trail comes last: it writes when the request has ended.
 */
export const phases = [
  'edge', 'headers', 'cors', 'address-limit', 'audit-gate', 'preflight', 'method', 'authentication', 'rate-limit', 'credential', 'guard',
  'audit'
] as const

export type Phase = typeof phases[number]
