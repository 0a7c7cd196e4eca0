import type { AuditEvent } from './event.ts'
import { jsonText } from './json-line.ts'

/**
 * What `jsonLine` makes of an event, in half the time: most of its text is that of the event before it. The caller's part is kept with
 * the list of scopes, which all requests with one credential share, and a rule with itself.
 */
export function eventLine (event: AuditEvent): string {
  const { time, event: name, action, outcome, status, method, requestId, address, durationMs } = event
  const { reason, denial, route, rule, limit, principal, traceId, fields, repeats, violation, handshake } = event
  let line = `{"time":"${time}","event":"${name}","action":${quoted(action)},"outcome":"${outcome}","status":${status},` +
    `"method":${quoted(method)},"requestId":${quoted(requestId)},"address":${quoted(address)},"durationMs":${durationMs}`
  if (reason !== undefined) line += `,"reason":${quoted(reason)}`
  if (denial !== undefined) line += `,"denial":${jsonText(denial)}`
  if (route !== undefined) line += `,"route":${quoted(route)}`
  if (rule !== undefined) line += `,"rule":${typeof rule === 'string' ? quoted(rule) : ruleText(rule)}`
  if (limit !== undefined) line += `,"limit":{"policy":${quoted(limit.policy)},"remaining":${limit.remaining}}`
  if (principal !== undefined) line += `,"principal":${principalText(principal)}`
  if (traceId !== undefined) line += `,"traceId":${quoted(traceId)}`
  if (fields !== undefined) line += `,"fields":${jsonText(fields)}`
  if (repeats !== undefined) line += `,"repeats":${repeats}`
  if (violation !== undefined) line += `,"violation":${jsonText(violation)}`
  if (handshake !== undefined) line += `,"handshake":${jsonText(handshake)}`
  return `${line}}`
}

/** Printable ASCII without quotes and backslashes. */
const plain = /^[ !#-[\]-~]*$/

function quoted (text: string): string | undefined {
  return plain.test(text) ? `"${text}"` : jsonText(text)
}

const ruleTexts = new WeakMap<object, string | undefined>()

function ruleText (rule: object): string | undefined {
  // The rules of routes are frozen; of any other nobody knows whether it is still what it was.
  if (!Object.isFrozen(rule)) return jsonText(rule)
  if (!ruleTexts.has(rule)) ruleTexts.set(rule, jsonText(rule))
  return ruleTexts.get(rule)
}

type Principal = NonNullable<AuditEvent['principal']>
interface Known { readonly principal: Principal, readonly text: string | undefined }

const known = new WeakMap<readonly string[], Known>()

function principalText (principal: Principal): string | undefined {
  const { scopes } = principal
  if (scopes === undefined) return jsonText(principal)
  const last = known.get(scopes)
  if (last !== undefined && isSame(last.principal, principal)) return last.text
  const text = jsonText(principal)
  if (Object.isFrozen(scopes)) known.set(scopes, { principal: { ...principal }, text })
  return text
}

function isSame (a: Principal, b: Principal): boolean {
  return a.subject === b.subject && a.client === b.client && a.issuer === b.issuer && a.keyId === b.keyId && a.tenant === b.tenant &&
    a.kind === b.kind && a.credential === b.credential
}
