import type { AuditEvent } from './event.ts'
import { jsonText } from './json-line.ts'

/**
 * What `jsonLine` makes of an event, in half the time: most of its text is that of the event before it. The caller's part is kept with
 * the list of scopes, which all requests with one credential share, and a rule with itself.
 */
export function eventLine (event: AuditEvent): string {
  const { time, requestId, address, durationMs, reason, denial, route, rule, limit, principal, traceId, fields, repeats, violation } = event
  let line = `{"time":"${time}",${headOf(event)}${quoted(requestId)},"address":${quoted(address)},"durationMs":${durationMs}`
  if (reason !== undefined) line += `,"reason":${quoted(reason)}`
  if (denial !== undefined) line += `,"denial":${jsonText(denial)}`
  if (rule !== undefined && typeof rule !== 'string') line += ruleText(rule, route)
  else line += namedRule(route, rule)
  if (limit !== undefined) line += `,"limit":{"policy":${quoted(limit.policy)},"remaining":${limit.remaining}}`
  if (principal !== undefined) line += `,"principal":${principalText(principal)}`
  if (traceId !== undefined) line += `,"traceId":${quoted(traceId)}`
  if (fields !== undefined) line += `,"fields":${jsonText(fields)}`
  if (repeats !== undefined) line += `,"repeats":${repeats}`
  if (violation !== undefined) line += `,"violation":${jsonText(violation)}`
  if (event.handshake !== undefined) line += `,"handshake":${jsonText(event.handshake)}`
  return `${line}}`
}

interface Head extends Pick<AuditEvent, 'event' | 'outcome' | 'status' | 'method'> {
  readonly text: string
}

/** By action: those of an application are its routes'. */
const heads = new Map<string, Head>()
const mostHeads = 1000

/** From the event's name to that of its request id. */
function headOf ({ event, action, outcome, status, method }: AuditEvent): string {
  const last = heads.get(action)
  const isSame = last?.status === status && last.method === method && last.event === event && last.outcome === outcome
  if (isSame) return last.text
  const text = `"event":"${event}","action":${quoted(action)},"outcome":"${outcome}","status":${status},"method":${quoted(method)},` +
    '"requestId":'
  if (heads.size >= mostHeads) heads.clear()
  heads.set(action, { event, outcome, status, method, text })
  return text
}

/** Printable ASCII without quotes and backslashes. */
const plain = /^[ !#-[\]-~]*$/

function quoted (text: string): string | undefined {
  return plain.test(text) ? `"${text}"` : jsonText(text)
}

interface KnownRule { readonly route: string | undefined, readonly text: string }
const ruleTexts = new WeakMap<object, KnownRule>()

/** With the route, whose rule it mostly is. */
function ruleText (rule: object, route: string | undefined): string {
  const last = ruleTexts.get(rule)
  if (last !== undefined && last.route === route) return last.text
  const text = `${namedRule(route, undefined)},"rule":${jsonText(rule)}`
  // The rules of routes are frozen; of any other nobody knows whether it is still what it was.
  if (Object.isFrozen(rule)) ruleTexts.set(rule, { route, text })
  return text
}

function namedRule (route: string | undefined, rule: string | undefined): string {
  const text = route === undefined ? '' : `,"route":${quoted(route)}`
  return rule === undefined ? text : `${text},"rule":${quoted(rule)}`
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
