import { parseDuration, suggest, type Problems } from '../config/index.ts'
import { isRedisLike } from '../redis/index.ts'
import { defaultPolicies, type Limit, type RateLimitOptions, type RouteRateLimit } from './options.ts'

const longestWindow = 31 * 86_400_000
/** Names stand in header fields and keys; they start with a letter, so that none looks like an object's own members. */
const policyName = /^[A-Za-z][\w.-]{0,63}$/
const reservedNames = ['address', 'failures']

/** Reports what the schema of {@link RateLimitOptions} cannot say. Call it after `check` has found nothing. */
export function validateRateLimit (options: RateLimitOptions, path: string, problems: Problems): void {
  validateRedis(options.redis, `${path}.redis`, problems)
  validateAddressLimit(options.perAddress, `${path}.perAddress`, problems)
  validateAddressLimit(options.failures, `${path}.failures`, problems)
  for (const [name, limit] of Object.entries(options.policies ?? {})) {
    validatePolicyName(name, `${path}.policies.${name}`, problems)
    validateLimit(limit, `${path}.policies.${name}`, problems)
  }
}

/** Reports what is wrong with a route's `config.rateLimit`. `known` are the names of all policies. */
export function validateRouteRateLimit (limit: RouteRateLimit, path: string, known: Iterable<string>, problems: Problems): void {
  if (limit === false) return
  if (typeof limit === 'object' && !Array.isArray(limit)) return validateLimit(limit, path, problems)
  const names = Array.isArray(limit) ? limit : [limit]
  for (const name of names) validateReference(name, path, [...known], problems)
  if (new Set(names).size < names.length) {
    problems.add('SECURE_API_OPTION_CONFLICT', path, 'a policy is named twice', 'Name each policy once; use its `cost` to count a request more than once.')
  }
}

/** Reports contradictions inside one limit. */
export function validateLimit (limit: Limit, path: string, problems: Problems): void {
  validateWindow(limit, path, problems)
  validateBurst(limit, path, problems)
  validateCost(limit, path, problems)
  validatePlans(limit, path, problems)
}

/** The names that routes can use: those of the options, and `read` and `write`. */
export function policyNames (options: RateLimitOptions): string[] {
  return Object.keys({ ...defaultPolicies, ...options.policies })
}

function validatePlans ({ plans, plan, ...common }: Limit, path: string, problems: Problems): void {
  if (plans === undefined && plan === undefined) return
  if (plans === undefined || plan === undefined) {
    return problems.add('SECURE_API_OPTION_MISSING', `${path}.${plans === undefined ? 'plans' : 'plan'}`, '`plans` and `plan` need each other', "Give both: plans: { free: { limit: 100 } }, plan: 'plan'.")
  }
  if (Object.keys(plans).length === 0) problems.add('SECURE_API_OPTION_EMPTY', `${path}.plans`, 'without any plan every caller would be refused', 'Name at least one plan.')
  for (const [name, own] of Object.entries(plans)) {
    if (!policyName.test(name)) problems.add('SECURE_API_OPTION_VALUE', `${path}.plans.${name}`, 'the name stands in keys', 'Use a letter, then up to 63 letters, digits, `_`, `.` or `-`.')
    validateLimit({ ...common, ...own }, `${path}.plans.${name}`, problems)
  }
}

function validateWindow ({ algorithm, window, lease }: Limit, path: string, problems: Problems): void {
  if (algorithm === 'concurrency') {
    if (window !== undefined) problems.add('SECURE_API_OPTION_CONFLICT', `${path}.window`, '`concurrency` counts requests in flight and has no window', 'Remove `window`, or choose another algorithm.')
    return validateSpan(lease, `${path}.lease`, problems)
  }
  if (lease !== undefined) problems.add('SECURE_API_OPTION_CONFLICT', `${path}.lease`, 'only `concurrency` has leases', 'Remove it.')
  if (window === undefined) return problems.add('SECURE_API_OPTION_MISSING', `${path}.window`, 'a limit without a window does not say in which time', "Add `window: '1 minute'`.")
  validateSpan(window, `${path}.window`, problems)
}

function validateSpan (span: Limit['window'], path: string, problems: Problems): void {
  const ms = span === undefined ? undefined : parseDuration(span)
  if (ms !== undefined && (ms < 1 || ms > longestWindow)) {
    problems.add('SECURE_API_OPTION_RANGE', path, `${ms} ms is out of range`, 'Give 1 ms to 31 days.')
  }
}

function validateBurst ({ algorithm, burst }: Limit, path: string, problems: Problems): void {
  if (burst !== undefined && algorithm !== 'token-bucket') {
    problems.add('SECURE_API_OPTION_CONFLICT', `${path}.burst`, 'only `token-bucket` has a burst', "Remove it, or add `algorithm: 'token-bucket'`.")
  }
}

function validateCost ({ algorithm, limit, burst, cost }: Limit, path: string, problems: Problems): void {
  if (cost === undefined) return
  if (algorithm === 'concurrency') return problems.add('SECURE_API_OPTION_CONFLICT', `${path}.cost`, 'a request in flight takes one permit', 'Remove `cost`.')
  const most = burst ?? limit
  if (typeof cost === 'number' && cost > most) {
    problems.add('SECURE_API_OPTION_RANGE', `${path}.cost`, `a request that costs ${cost} never fits into ${most}`, `Give 1 to ${most}.`)
  }
}

function validateAddressLimit (limit: Limit | false | undefined, path: string, problems: Problems): void {
  if (limit === undefined || limit === false) return
  validateLimit(limit, path, problems)
  if (limit.by !== undefined && limit.by !== 'address') {
    problems.add('SECURE_API_OPTION_CONFLICT', `${path}.by`, 'this limit is checked before anybody is authenticated, so only the address is known', "Remove `by`, or use `'address'`.")
  }
  if (limit.plans !== undefined) {
    problems.add('SECURE_API_OPTION_CONFLICT', `${path}.plans`, 'this limit is checked before anybody is authenticated, so no plan is known', 'Use plans in a policy.')
  }
  if (limit.algorithm === 'concurrency') {
    problems.add('SECURE_API_OPTION_CONFLICT', `${path}.algorithm`, 'many callers behind one address would wait for its slowest request', 'Use a window here, and `concurrency` in a policy.')
  }
}

/** Reports a name that cannot stand in header fields and keys, or that the limiter uses itself. */
export function validatePolicyName (name: string, path: string, problems: Problems): void {
  if (!policyName.test(name)) {
    problems.add('SECURE_API_OPTION_VALUE', path, 'the name stands in header fields and keys', 'Use a letter, then up to 63 letters, digits, `_`, `.` or `-`.')
  } else if (reservedNames.includes(name)) {
    problems.add('SECURE_API_OPTION_CONFLICT', path, `\`${name}\` is the name of a budget of the limiter itself`, 'Choose another name.')
  }
}

function validateReference (name: string, path: string, known: readonly string[], problems: Problems): void {
  if (known.includes(name)) return
  const meant = suggest(name, known)
  problems.add('SECURE_API_ROUTE_RATE_LIMIT_UNKNOWN', path, 'no rate-limit policy has this name, and an unknown name must not mean unlimited',
    meant === undefined ? `Add it to \`rateLimit.policies\`, or name one of ${known.join(', ')}.` : `Did you mean \`${meant}\`?`)
}

/** A URL is never repeated in a message: it may hold a password. */
function validateRedis (redis: RateLimitOptions['redis'], path: string, problems: Problems): void {
  if (redis === undefined) return
  if (typeof redis === 'string') {
    if (!isRedisUrl(redis)) problems.add('SECURE_API_OPTION_VALUE', path, 'this is not the URL of a Redis server', 'Write `redis://host:6379`, or `rediss://…` for TLS.')
  } else if (!isRedisLike(redis)) {
    problems.add('SECURE_API_OPTION_TYPE', path, 'this is no Redis client', 'Give a URL, or an instance of ioredis, iovalkey or node-redis.')
  }
}

function isRedisUrl (text: string): boolean {
  return URL.canParse(text) && ['redis:', 'rediss:'].includes(new URL(text).protocol) && new URL(text).hostname !== ''
}
