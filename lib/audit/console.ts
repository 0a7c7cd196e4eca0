import type { AuditEvent } from './event.ts'

/** One line for people: `15:04:05 GET /orders/:id 403 2.1 ms alice: SECURE_API_FORBIDDEN`. */
export function readableLine (event: AuditEvent): string {
  const { time, action, method, route, status, durationMs, principal, reason, address, repeats } = event
  const what = printable(method === '' ? action : `${method} ${route ?? 'unknown route'}`, 200)
  const named = route === undefined || action === what ? '' : ` (${printable(action)})`
  const who = principal === undefined ? address : principal.subject
  const kind = event.event === 'api_connection_closed' ? ' closed' : ''
  const times = repeats === undefined ? '' : ` × ${repeats}`
  const why = reason === undefined ? '' : `: ${printable(reason)}`
  const end = `${status === 0 ? 'no answer' : status} ${durationMs.toFixed(1)} ms`
  return `${time.slice(11, 19)} ${what}${named}${kind} ${end} ${printable(who)}${why}${times}`
}

/**
 * A subject may hold anything, and a terminal obeys escape sequences, reorders a line by marks that nobody sees, and breaks it at more than
 * `\n`. What is no letter, mark, digit, punctuation, symbol or space is not shown.
 */
function printable (text: string, most = 64): string {
  return Array.from(text.slice(0, 2 * most).replace(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu, '?')).slice(0, most).join('')
}
