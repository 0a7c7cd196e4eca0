import { findingCodes, severities, type FindingCode, type Severity } from './codes.ts'
import { weakenings } from './headers.ts'
import { namesOf, spoken } from './words.ts'
import type { Source } from './record.ts'
import { nameOf, type Application, type Posture, type Row, type RowLimit } from './report.ts'
import { wider } from './wider.ts'

/** Something that a reviewer should look at. */
export interface Finding {
  readonly code: FindingCode
  readonly severity: Severity
  /** `GET /orders`; absent when it is about the whole application. */
  readonly route?: string
  /** What was seen. Part of what a baseline accepts: when it changes, the finding is new. */
  readonly detail: string
  readonly meaning: string
  readonly fix: string
  readonly source?: Source
}

/** `undefined`: nothing to say. An empty text: nothing beyond the code. */
type Look <Subject> = (subject: Subject, application: Application) => string | undefined

const unsafeMethods: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH', 'DELETE'])

const isUnsafe = ({ methods }: Row): boolean => methods.some(method => unsafeMethods.has(method))
const isOpen = ({ access: { kind } }: Row): boolean => kind === 'public' || kind === 'open'
const when = (found: boolean, detail = ''): string | undefined => found ? detail : undefined

const aboutApplication: ReadonlyArray<readonly [FindingCode, Look<Application>]> = [
  ['SECURE_API_POSTURE_NO_SUITE', ({ suites }) => when(suites === 0)],
  ['SECURE_API_POSTURE_NO_AUTHENTICATION', ({ controls }) => when(controls?.authentication === false)],
  ['SECURE_API_POSTURE_CONTROL_OFF', ({ controls = {} }) =>
    listed(Object.entries(controls).filter(([name, on]) => !on && name !== 'authentication').map(([name]) => name))],
  ['SECURE_API_POSTURE_ADDRESS_LIMIT_OFF', ({ controls, addressLimits }) => listed(controls?.['rate limit'] === true
    ? ['address', 'failures'].filter(name => !addressLimits.includes(name))
    : [])],
  ['SECURE_API_POSTURE_CORS_ANY_ORIGIN', ({ cors }) => when(cors?.origins.includes('*') === true)]
]

const aboutRoutes: ReadonlyArray<readonly [FindingCode, Look<Row>]> = [
  ['SECURE_API_POSTURE_OUTSIDE', ({ coverage }, { suites }) => when(coverage === 'outside' && suites > 0)],
  ['SECURE_API_POSTURE_EARLY', ({ coverage }) => when(coverage === 'early')],
  ['SECURE_API_POSTURE_NO_RULE', ({ access }) => when(access.kind === 'closed')],
  ['SECURE_API_POSTURE_RULE_BY_DEFAULT', ({ access }) => when(access.kind === 'authenticated-by-default')],
  ['SECURE_API_POSTURE_WILDCARD', ({ access }) => listed(access.kind === 'rule'
    ? namesOf(access.rule).filter(name => name.includes('*'))
    : [])],
  ['SECURE_API_POSTURE_PUBLIC_UNSAFE', row => isOpen(row) && isUnsafe(row) && !isOwn(row) ? loose(row) : undefined],
  ['SECURE_API_POSTURE_AUTHENTICATED_ONLY', row => when(row.access.kind.startsWith('authenticated') && isUnsafe(row) &&
    !row.hooks.includes('guard'))],
  ['SECURE_API_POSTURE_LIMIT_OFF', row => when(row.rateLimit === false && !(isOpen(row) && isUnsafe(row)))],
  ['SECURE_API_POSTURE_LIMIT_DRY_RUN', ({ rateLimit }) => when(Array.isArray(rateLimit) && rateLimit.length > 0 &&
    rateLimit.every(({ dryRun }) => dryRun))],
  ['SECURE_API_POSTURE_CORS_WIDER', ({ cors }, application) => listed(typeof cors === 'object' ? wider(cors, application.cors) : [])],
  ['SECURE_API_POSTURE_HEADERS_WEAKENED', ({ headers }) => listed(typeof headers === 'object' ? weakenings(headers) : [])],
  ['SECURE_API_POSTURE_SHARED_CACHE', row => when(!isOpen(row) && sharesCache(row), cacheOf(row))],
  ['SECURE_API_POSTURE_AUDIT_OFF', row => when(row.audit === false && isUnsafe(row) && !isOwn(row))],
  ['SECURE_API_POSTURE_PUBLIC_WILDCARD', row => when(isOpen(row) && row.url.endsWith('*'))]
]

/** Looks at everything; the gravest first, then in the order of the table. */
export function check ({ application, rows }: Posture): readonly Finding[] {
  const found = [
    ...aboutApplication.flatMap(([code, look]) => finding(code, look(application, application))),
    ...rows.flatMap(row => aboutRoutes.flatMap(([code, look]) => finding(code, look(row, application), row)))
  ]
  return found.sort((a, b) => severities.indexOf(a.severity) - severities.indexOf(b.severity))
}

function finding (code: FindingCode, detail: string | undefined, row?: Row): Finding[] {
  if (detail === undefined) return []
  const { severity, meaning, fix } = findingCodes[code]
  return [{ code, severity, detail, meaning, fix, ...(row && { route: nameOf(row) }), ...(row?.source && { source: row.source }) }]
}

function listed (names: readonly string[]): string | undefined {
  return names.length === 0 ? undefined : names.join(', ')
}

/** The collector of browser reports is public by its nature, and bounds what it takes. */
function isOwn ({ handler }: Row): boolean {
  return handler === 'collectViolations'
}

/** The limits of a route that guesses and spam could get through. */
function loose ({ rateLimit }: Row): string | undefined {
  if (rateLimit === undefined || rateLimit === false) return 'no limit'
  return rateLimit.some(isTight) ? undefined : rateLimit.map(spoken).join(', ') || 'no limit'
}

/** How many requests come back each minute, and how many fit at once. */
function isTight ({ limit, windowMs, algorithm, dryRun }: RowLimit): boolean {
  return !dryRun && algorithm !== 'concurrency' && limit * 60_000 / windowMs <= 10 && limit <= 60
}

function cacheOf ({ headers }: Row): string {
  return typeof headers === 'object' && typeof headers.cacheControl === 'string' ? headers.cacheControl : ''
}

/** RFC 9111 §3.5: these let a shared cache keep the answer to a request with Authorization. */
function sharesCache (row: Row): boolean {
  const directives = cacheOf(row).toLowerCase().split(',').map(directive => directive.trim().split('=', 1)[0] ?? '')
  return !directives.includes('private') && !directives.includes('no-store') &&
    directives.some(name => ['public', 's-maxage', 'must-revalidate'].includes(name))
}
