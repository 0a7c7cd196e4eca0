import { parseDuration } from '../../lib/config/index.ts'
import { isFunction, optionsOf, unread } from './options.ts'
import type { Described } from './types.ts'
import type { Mapped, Value } from './value.ts'

const known = ['max', 'timeWindow', 'global', 'redis', 'allowList', 'keyGenerator', 'ban', 'nameSpace', 'skipOnError', 'cache', 'store',
  'addHeaders', 'addHeadersOnExceeding', 'enableDraftSpec', 'errorResponseBuilder', 'onExceeding', 'onExceeded', 'onBanReach', 'hook',
  'continueExceeding', 'exponentialBackoff', 'groupId', 'encapsulate', 'prefix']

const reasons: Readonly<Record<string, string>> = {
  allowList: 'write `config: { rateLimit: false }` at the routes that have no limit, or `plans` for callers that have another',
  keyGenerator: 'write the function as `by` of the limits, if it is not the address',
  ban: '`rateLimit.failures` and `perAddress` refuse an address that goes on',
  errorResponseBuilder: 'refusals are problem documents; `errors: \'throw\'` hands them to your error handler',
  store: 'counts are kept in memory, or in Redis',
  redis: 'give the client, or its URL, as `rateLimit.redis`; counts start anew',
  onExceeding: 'metrics and the audit trail tell of refusals',
  onExceeded: 'metrics and the audit trail tell of refusals',
  onBanReach: 'metrics and the audit trail tell of refusals',
  continueExceeding: 'a refused request does not count',
  exponentialBackoff: 'a refused request does not count',
  groupId: 'a name in `rateLimit.policies` is one budget for all routes that give it'
}

/** Options of @fastify/rate-limit in the words of the suite. */
export function mapRateLimit (described: Described): Mapped {
  const options = optionsOf(described)
  const limit = limitOf(options['max'], options['timeWindow'])
  const told = [
    ...Object.entries(reasons).filter(([name]) => options[name] !== undefined && options[name] !== null)
      .map(([name, reason]) => `\`${name}\` of @fastify/rate-limit is not carried over: ${reason}`),
    ...unread(options, known, '@fastify/rate-limit')
  ]
  const common: Record<string, Value> = {
    ...(typeof options['nameSpace'] === 'string' && /^[\w:.-]{1,64}$/.test(options['nameSpace']) && { keyPrefix: options['nameSpace'] }),
    ...(options['skipOnError'] === true && { onStoreFailure: 'allow' }),
    legacyHeaders: true
  }
  if (options['global'] === false) {
    const now = 'now the others have 100 reads and 10 writes a minute'
    return { value: common, told: [...told, `only some routes had a limit (\`global: false\`); ${now}`] }
  }
  if (limit === undefined) {
    const what = isFunction(options['max']) || isFunction(options['timeWindow']) ? 'is a function' : 'cannot be read'
    return { value: common, told: [...told, `\`max\` or \`timeWindow\` of @fastify/rate-limit ${what}: write \`rateLimit.policies\``] }
  }
  const perAddress = limit.limit > 1000 ? { perAddress: { ...limit, algorithm: 'token-bucket', by: 'address' } } : {}
  return {
    value: { policies: { read: { ...limit, by: 'address' }, write: { ...limit, by: 'address' } }, ...perAddress, ...common },
    told: [...told, 'reads and writes have a budget each, of the size that all requests shared before']
  }
}

const largest = 1e9

/** A limit of theirs; the defaults are 1000 in a minute. */
export function limitOf (max: Described | undefined, timeWindow: Described | undefined):
  { limit: number, window: string | number } | undefined {
  const limit = max ?? 1000
  const window = timeWindow ?? 60_000
  if (typeof limit !== 'number' || !Number.isInteger(limit) || limit < 1 || limit > largest) return undefined
  if ((typeof window !== 'number' && typeof window !== 'string') || parseDuration(window) === undefined) return undefined
  return { limit, window: window === 60_000 ? '1 minute' : window }
}
