import { hash } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { ignoreRejection } from '../async/index.ts'
import { Type, type Problems, type Static } from '../config/index.ts'

const name = '[\\w-]+'
const FromSchema = Type.String({
  pattern: `^(?:params|query|headers)\\.${name}$`, hint: "Write 'params.orderId', 'query.page' or 'headers.x-request-source'."
})

export const FieldSchema = Type.Union([
  FromSchema,
  Type.Object({
    /** Where the value stands in the request: `'params.orderId'`, `'query.page'` or `'headers.user-agent'`. */
    from: FromSchema,
    /**
     * `'hash'`: the first 16 hexadecimal digits of its SHA-256, which tell equal values from others; whoever has the trail can guess values
     * of which there are few, such as card numbers. `'last4'`: its last four
     * characters, if it has eight or more. A function gets the value and returns the text to keep, or undefined for none.
     * @default the value as it is
     */
    redact: Type.Optional(Type.Union([
      Type.Literal('hash'), Type.Literal('last4'), Type.Function<(value: string) => string | undefined>()
    ]))
  })
])
export type AuditField = Static<typeof FieldSchema>

/** What a field of the trail holds at most, in characters. */
const longest = 256

/** Headers that carry credentials. */
const secrets: ReadonlySet<string> = new Set([
  'authorization', 'proxy-authorization', 'cookie', 'set-cookie', 'x-api-key', 'dpop', 'client-cert', 'client-cert-chain',
  'x-forwarded-client-cert', 'x-amzn-oidc-data', 'x-amzn-oidc-accesstoken', 'cf-access-jwt-assertion', 'x-goog-iap-jwt-assertion',
  'sec-websocket-protocol'
])

/** How a name ends that mostly holds one: `query.access_token` (RFC 6750 §2.3), `params.token` of a link by mail, `query.sig`. */
const suspect = /(?:token|secret|password|passwd|api[-_]?key|authorization|assertion|jwt|signature)$|(?:^|[-_])(?:sig|otp)$/i

/** What sign-in sends back in the query: RFC 6749 §4.1.2, the tickets of CAS, the answers of SAML. */
const suspectQuery = /^(?:code|ticket|samlresponse)$/i

/** A field that would put a credential into the trail. */
export function checkFields (fields: Readonly<Record<string, AuditField>>, path: string, problems: Problems): void {
  for (const [name, field] of Object.entries(fields)) {
    const { from: { where, key }, redact } = parts(field)
    if (!/^[A-Za-z]\w*$/.test(name)) {
      problems.add('SECURE_API_OPTION_VALUE', `${path}.${name}`, 'a name in the trail is made of letters, digits and _',
        "Write a name such as 'orderId'.")
    }
    if (redact !== undefined || secrets.has(key)) continue
    if (!suspect.test(key) && (where !== 'query' || !suspectQuery.test(key))) continue
    problems.add('SECURE_API_AUDIT_FIELD_SECRET', `${path}.${name}`, `by its name ${where}.${key} holds a credential`,
      "Leave it out, or state `redact: 'hash'`, which still tells equal values from others.")
  }
  checkFieldHeaders(fields, path, secrets, problems)
}

/** @param headers which carry credentials, in lower case */
export function checkFieldHeaders (
  fields: Readonly<Record<string, AuditField>>, path: string, headers: ReadonlySet<string | undefined>, problems: Problems
): void {
  for (const [name, field] of Object.entries(fields)) {
    const { where, key } = parts(field).from
    if (where !== 'headers' || !headers.has(key)) continue
    problems.add('SECURE_API_AUDIT_FIELD_SECRET', `${path}.${name}`, `the header ${key} holds a credential, which no trail may show`,
      'Leave it out: the trail names the caller, the kind of the credential and the id of its key.')
  }
}

type Fields = Readonly<Record<string, string>>

/** Reads what the trail adds of a request: undefined where the request has none of it. Never throws. */
export type FieldReader = (request: FastifyRequest) => Fields | undefined

export function compileFields (fields: Readonly<Record<string, AuditField>>): FieldReader | undefined {
  const readers = Object.entries(fields).map(([name, field]) => ({ name, ...parts(field) }))
  if (readers.length === 0) return undefined
  return request => {
    let found: Record<string, string> | undefined
    for (const { name, from, redact } of readers) {
      const value = textOf(request[from.where], from.key)
      const kept = value === undefined ? undefined : redacted(value, redact)
      if (kept !== undefined) (found ??= {})[name] = kept
    }
    return found
  }
}

interface Parts {
  readonly from: { readonly where: 'params' | 'query' | 'headers', readonly key: string }
  readonly redact: Exclude<AuditField, string>['redact']
}

function parts (field: AuditField): Parts {
  const { from, redact } = typeof field === 'string' ? { from: field, redact: undefined } : field
  const dot = from.indexOf('.')
  const where = from.slice(0, dot) as Parts['from']['where']
  const key = from.slice(dot + 1)
  return { from: { where, key: where === 'headers' ? key.toLowerCase() : key }, redact }
}

function textOf (values: unknown, key: string): string | undefined {
  if (typeof values !== 'object' || values === null || !Object.hasOwn(values, key)) return undefined
  const value: unknown = Reflect.get(values, key)
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined
}

function redacted (value: string, redact: Parts['redact']): string | undefined {
  if (redact === undefined) return bounded(value)
  if (redact === 'hash') return hash('sha256', value).slice(0, 16)
  if (redact === 'last4') return value.length < 8 ? '…' : `…${value.slice(-4)}`
  try {
    const kept: unknown = redact(value)
    ignoreRejection(kept)
    return typeof kept === 'string' ? bounded(kept) : undefined
  } catch {
    return undefined // What could not be redacted is not shown.
  }
}

/** What a caller wrote, or may have. */
export function bounded (value: string): string {
  return value.length > longest ? `${value.slice(0, longest)}…` : value
}
