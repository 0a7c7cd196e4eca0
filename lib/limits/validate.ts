import { parseDuration, suggest, type Problems } from '../config/index.ts'
import { isRedisLike } from '../redis/index.ts'
import { isPlace, textOf } from '../secrets/index.ts'
import { defaultPolicies, type Limit, type RateLimitOptions, type RouteRateLimit } from './options.ts'
import { leasable } from './policy.ts'

const longestWindow = 31 * 86_400_000
/** Names are used in header fields and keys. They start with a letter, so none equals a built-in member such as `__proto__`. */
const policyName = /^[A-Za-z][\w.-]{0,63}$/
const nameFix = 'Use a letter, then up to 63 letters, digits, `_`, `.` or `-`.'
const reservedNames = ['address', 'failures']

/** Checks {@link RateLimitOptions} beyond their schema. Call it after `check` has found nothing. */
export function validateRateLimit (options: RateLimitOptions, path: string, problems: Problems): void {
  validateRedis(options.redis, `${path}.redis`, problems)
  const { perAddress, failures } = options
  if (perAddress) validateLimit(perAddress, `${path}.perAddress`, problems, addressConflicts)
  if (failures) validateLimit(failures, `${path}.failures`, problems, failureConflicts)
  for (const [name, limit] of Object.entries(options.policies ?? {})) {
    validatePolicyName(name, `${path}.policies.${name}`, problems)
    validateLimit(limit, `${path}.policies.${name}`, problems)
  }
}

/** Checks a route's `config.rateLimit`. `known` are the names of all policies. */
export function validateRouteRateLimit (limit: RouteRateLimit, path: string, known: Iterable<string>, problems: Problems): void {
  if (limit === false) return
  if (typeof limit === 'object' && !Array.isArray(limit)) return validateLimit(limit, path, problems)
  const names = [limit].flat()
  for (const name of names) validateReference(name, path, [...known], problems)
  if (new Set(names).size === names.length) return
  problems.add('SECURE_API_OPTION_CONFLICT', path, 'a policy is listed twice',
    'List each policy once; use its `cost` to count a request more than once.')
}

type Conflict = readonly [option: string, applies: (limit: Limit) => boolean, why: string, fix: string]

const conflicts: readonly Conflict[] = [
  ['window', ({ algorithm, window }) => algorithm === 'concurrency' && window !== undefined,
    '`concurrency` counts requests in flight and has no window', 'Remove `window`, or choose another algorithm.'],
  ['lease', ({ algorithm, lease }) => algorithm !== 'concurrency' && lease !== undefined, 'only `concurrency` has leases', 'Remove it.'],
  ['burst', ({ algorithm, burst }) => algorithm !== 'token-bucket' && burst !== undefined,
    'only `token-bucket` has a burst', "Remove it, or add `algorithm: 'token-bucket'`."],
  ['leased', limit => !!limit.leased && !leasable(limit),
    'permits of `concurrency`, and what a function of `cost` returns, are not known before a request', 'Remove it.'],
  ['cost', ({ algorithm, cost }) => algorithm === 'concurrency' && cost !== undefined, 'a request in flight takes one permit', 'Remove it.']
]

/** The limits by address run before authentication. */
const addressConflicts: readonly Conflict[] = [
  ...conflicts,
  ['by', ({ by }) => by !== undefined && by !== 'address',
    'this limit runs before authentication, so only the address is known', "Remove `by`, or use `'address'`."],
  ['plans', ({ plans }) => plans !== undefined, 'this limit runs before authentication, so no plan is known', 'Use plans in a policy.'],
  ['algorithm', ({ algorithm }) => algorithm === 'concurrency',
    'all callers behind one address would wait for its slowest request', 'Use a window here, and `concurrency` in a policy.']
]

/** A verification reserves its unit in this process, and tells Redis of a failure. */
const failureConflicts: readonly Conflict[] = [
  ...addressConflicts,
  ['leased', ({ leased }) => !!leased, 'failures are counted one by one', 'Remove it.']
]

/** Checks for contradictions inside one limit. */
export function validateLimit (limit: Limit, path: string, problems: Problems, table: readonly Conflict[] = conflicts): void {
  const { algorithm, window, lease, limit: quota, burst = quota, cost } = limit
  for (const [option, applies, why, fix] of table) {
    if (applies(limit)) problems.add('SECURE_API_OPTION_CONFLICT', `${path}.${option}`, why, fix)
  }
  if (algorithm === 'concurrency') validateSpan(lease, `${path}.lease`, problems)
  else if (window !== undefined) validateSpan(window, `${path}.window`, problems)
  else problems.add('SECURE_API_OPTION_MISSING', `${path}.window`, 'a limit needs a window', "Add `window: '1 minute'`.")
  if (algorithm !== 'concurrency' && typeof cost === 'number' && cost > burst) {
    problems.add('SECURE_API_OPTION_RANGE', `${path}.cost`, `a request that costs ${cost} never fits into ${burst}`, `Give 1 to ${burst}.`)
  }
  validatePlans(limit, path, problems)
}

/** The names that routes can use: those of the options, and `read` and `write`. */
export function policyNames (options: RateLimitOptions): string[] {
  return Object.keys({ ...defaultPolicies, ...options.policies })
}

function validatePlans ({ plans, plan, ...common }: Limit, path: string, problems: Problems): void {
  if (plans === undefined && plan === undefined) return
  if (plans === undefined || plan === undefined) {
    const missing = plans === undefined ? 'plans' : 'plan'
    return problems.add('SECURE_API_OPTION_MISSING', `${path}.${missing}`, '`plans` and `plan` need each other',
      "Give both: plans: { free: { limit: 100 } }, plan: 'plan'.")
  }
  if (Object.keys(plans).length === 0) {
    problems.add('SECURE_API_OPTION_EMPTY', `${path}.plans`, 'without a plan, every caller would be refused', 'List at least one plan.')
  }
  for (const [name, own] of Object.entries(plans)) {
    const at = `${path}.plans.${name}`
    if (!policyName.test(name)) problems.add('SECURE_API_OPTION_VALUE', at, 'the name is used in keys', nameFix)
    validateLimit({ ...common, ...own }, at, problems)
  }
}

function validateSpan (span: Limit['window'], path: string, problems: Problems): void {
  const ms = span === undefined ? undefined : parseDuration(span)
  if (ms !== undefined && (ms < 1 || ms > longestWindow)) {
    problems.add('SECURE_API_OPTION_RANGE', path, `${ms} ms is out of range`, 'Give 1 ms to 31 days.')
  }
}

/** Checks that a name is valid in header fields and keys, and not one of the limiter's own. */
export function validatePolicyName (name: string, path: string, problems: Problems): void {
  if (!policyName.test(name)) problems.add('SECURE_API_OPTION_VALUE', path, 'the name is used in header fields and keys', nameFix)
  else if (reservedNames.includes(name)) {
    problems.add('SECURE_API_OPTION_CONFLICT', path, `\`${name}\` is a budget of the limiter itself`, 'Choose another name.')
  }
}

function validateReference (name: string, path: string, known: readonly string[], problems: Problems): void {
  if (known.includes(name)) return
  const meant = suggest(name, known)
  problems.add('SECURE_API_ROUTE_RATE_LIMIT_UNKNOWN', path, 'no rate-limit policy has this name, and unknown must not mean unlimited',
    meant === undefined ? `Add it to \`rateLimit.policies\`, or use one of ${known.join(', ')}.` : `Did you mean \`${meant}\`?`)
}

/**
 * At most a user, the number of a database and options. In `redis://:p@ss/w#rd@host` a part of the password would be the host: it
 * would be looked up in the DNS, and logged.
 */
const redisUrl = /^rediss?:\/\/(?:[^/?#\\@]*@)?[^/?#\\@]+(?:\/\d*)?(?:\?[^#@]*)?$/i

export function isRedisUrl (text: string): boolean {
  return URL.canParse(text) && redisUrl.test(text)
}

/** Messages never contain the URL: it may include a password. */
function validateRedis (redis: RateLimitOptions['redis'], path: string, problems: Problems): void {
  // What is no client names a place where the URL could not be read, which is reported there.
  if (redis === undefined || isPlace(redis)) return
  const url = textOf(redis)
  if (url !== undefined) {
    if (isRedisUrl(url)) return
    problems.add('SECURE_API_OPTION_VALUE', path, 'this is not a Redis URL',
      'Write `redis://host:6379`, or `rediss://…` for TLS, with what is no letter or digit of user and password percent-encoded.')
  } else if (!isRedisLike(redis)) {
    problems.add('SECURE_API_OPTION_TYPE', path, 'this is not a Redis client',
      'Give a URL, { env }, { file }, or a client of ioredis, iovalkey or node-redis.')
  }
}
