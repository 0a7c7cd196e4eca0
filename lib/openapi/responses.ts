import { answers, refusal, type AnswerCode, type Refusal } from '../http/index.ts'
import { compilePolicy, defaultPolicies, rateLimited, unplanned } from '../limits/index.ts'
import { compileRule, forbidden, RuleBook } from '../rules/index.ts'
import { needs } from './security.ts'
import type { Access, Fields, RouteFacts } from './types.ts'

/** Names of the suite's components; the application's own component of the same name replaces it. */
const problem = 'SecureApiProblem'
const byStatus = {
  400: 'SecureApiMalformedCredential',
  401: 'SecureApiUnauthenticated',
  403: 'SecureApiForbidden',
  429: 'SecureApiRateLimited',
  503: 'SecureApiUnavailable'
} as const
type Status = keyof typeof byStatus

/** Which answers each step can give. */
const byStep: Readonly<Record<string, readonly Status[]>> = {
  authentication: [400, 401, 503],
  'authorization:guard': [401, 403],
  'rate-limit:address': [429],
  'rate-limit:route': [429]
}

/** The examples are the real answers. */
const refusals: Readonly<Record<Status, () => readonly Refusal[]>> = {
  400: () => [refusal('SECURE_API_CREDENTIAL_AMBIGUOUS')],
  401: () => (Object.keys(answers) as AnswerCode[]).filter(code => answers[code].status === 401).map(code => refusal(code)),
  403: () => [forbidden()],
  429: () => {
    const policy = compilePolicy('read', defaultPolicies.read, 'local')
    return [rateLimited([unplanned(policy, 0)])]
  },
  503: () => (['SECURE_API_KEYS_UNAVAILABLE', 'SECURE_API_REVOCATION_UNAVAILABLE'] as const)
    .map(code => refusal(code, { headers: { 'retry-after': '30' } }))
}

const text: Fields = { type: 'string' }
const headers: Readonly<Record<string, Fields>> = {
  'WWW-Authenticate': { description: 'The challenge (RFC 6750 §3).', schema: text },
  'Retry-After': { description: 'Seconds to wait before the next attempt.', schema: { type: 'integer', minimum: 1 } },
  RateLimit: { description: 'The remainder of each limit.', schema: text },
  'RateLimit-Policy': { description: 'The limits that apply.', schema: text }
}

const descriptions: Readonly<Record<Status, string>> = {
  400: 'The credential is malformed or ambiguous.',
  401: 'The credential is missing or not accepted.',
  403: 'The credential does not permit this.',
  429: 'The rate limit is exceeded.',
  503: 'The credential cannot be verified temporarily.'
}

const statuses = Object.keys(byStatus).map(Number) as readonly Status[]

/** The body of a refusal (RFC 9457) with its required members. */
export const problemSchema: Fields = Object.freeze({
  type: 'object',
  description: 'A problem document (RFC 9457).',
  required: ['type', 'title', 'status', 'detail', 'code'],
  properties: {
    type: { type: 'string', format: 'uri-reference' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string' },
    code: { type: 'string', description: 'Stable code of the cause.' },
    'violated-policies': { type: 'array', items: { type: 'string' }, description: 'The exceeded limits.' }
  }
})

/** Under `components`, where the routes refer to them. Bodies are described only where the suite writes them itself. */
export function sharedComponents (bodies: boolean): Readonly<Record<'schemas' | 'responses', Fields>> {
  const responses = statuses.map(status => [byStatus[status], responseOf(descriptions[status], refusals[status](), bodies)])
  return { schemas: bodies ? { [problem]: problemSchema } : {}, responses: Object.fromEntries(responses) }
}

/** The refusals of a route by status. Its 403 states the requirement, where known. */
export function responsesOf ({ access, steps }: RouteFacts, bodies: boolean): Fields {
  const given = new Set(steps.flatMap(step => byStep[step] ?? []))
  return Object.fromEntries(statuses.filter(status => given.has(status)).map(status => {
    const own = status === 403 && (typeof access === 'object' || access === 'none')
    return [status, own ? responseOf(needs(access), [refusalOf(access)], bodies) : { $ref: `#/components/responses/${byStatus[status]}` }]
  }))
}

function refusalOf (access: Access): Refusal {
  if (typeof access === 'string' || access.scope === undefined) return forbidden()
  return compileRule({ scope: access.scope }, new RuleBook()).refusal
}

function responseOf (description: string, sent: readonly Refusal[], bodies: boolean): Fields {
  return { description, headers: headersOf(sent), ...(bodies && { content: contentOf(sent) }) }
}

function headersOf ([first]: readonly Refusal[]): Fields {
  return Object.fromEntries(Object.entries(headers).flatMap(([name, header]) => {
    const sent = first?.headers[name.toLowerCase()]
    return sent === undefined ? [] : [[name, { ...header, example: header.schema === text ? sent : Number(sent) }]]
  }))
}

function contentOf (sent: readonly Refusal[]): Fields {
  const examples = sent.map(({ code, body }) => [code, { value: JSON.parse(body) as unknown }])
  return { 'application/problem+json': { schema: { $ref: `#/components/schemas/${problem}` }, examples: Object.fromEntries(examples) } }
}
