/**
 * The order in which a request meets the controls, whatever order the plugins were registered in. The server edge
 * comes before all of these (lib/server). The audit trail only watches at the start: it writes when the request has ended.
 */
export const phases = ['watch', 'headers', 'cors', 'address-limit', 'audit-gate', 'preflight', 'method', 'authentication', 'rate-limit', 'credential', 'guard'] as const

export type Phase = typeof phases[number]

export function phaseOrder (phase: Phase): number {
  return phases.indexOf(phase)
}
