/**
 * The order in which a request meets the controls, whatever order the plugins were registered in. The server edge
 * comes before all of these (lib/server), the audit trail after them.
 */
export const phases = ['headers', 'cors', 'address-limit', 'preflight', 'method', 'authentication', 'rate-limit', 'guard'] as const

export type Phase = typeof phases[number]

export function phaseOrder (phase: Phase): number {
  return phases.indexOf(phase)
}
