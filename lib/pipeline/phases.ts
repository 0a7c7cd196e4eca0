/** The order in which a request meets the controls. What the edge answers reaches no other phase; the trail writes at the end. */
export const phases = [
  'edge', 'headers', 'cors', 'address-limit', 'audit-gate', 'preflight', 'method', 'authentication', 'rate-limit', 'credential', 'guard',
  'audit'
] as const

export type Phase = typeof phases[number]
