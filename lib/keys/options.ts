import { DurationSchema, milliseconds, parseDuration, Type, type Problems, type Static } from '../config/index.ts'
import { SecretSourceSchema } from '../secrets/index.ts'
import { checkRoute } from './route.ts'
import type { JwkSource } from './ring-options.ts'

export const KeysOptionsSchema = Type.Object({
  /**
   * How old a key set may get before it counts as stale. It is fetched again in the background after about 80 % of that. A shorter period
   * makes a key that the provider removed end sooner, and asks the provider more often. 10 seconds to 24 hours.
   * @default '10 minutes'
   */
  refresh: Type.Optional(DurationSchema),
  /**
   * Least time between two fetches that requests cause, by a `kid` that is not known or while there are no keys. A new
   * key of the provider is refused for as long at most. A shorter time lets senders of forged tokens cause more
   * fetches. 1 second to 1 hour, and not more than `refresh`.
   * @default '30 seconds'
   */
  cooldown: Type.Optional(DurationSchema),
  /**
   * How long the last good set stays in use while fetching fails. Afterwards protected routes answer 503. A longer time
   * bridges longer outages of the provider, during which removed keys cannot be noticed. From `refresh` to 7 days.
   * @default '24 hours'
   */
  maxStale: Type.Optional(DurationSchema),
  /**
   * Limit for one attempt, metadata and key set together; as long may a request wait for keys. 100 milliseconds to
   * 30 seconds; with `startup: 'required'` less than Fastify's `pluginTimeout`.
   * @default '5 seconds'
   */
  timeout: Type.Optional(DurationSchema),
  /**
   * The proxy through which keys are fetched: `'http://proxy.example.com:3128'`, with a name and a password in it if it
   * wants them; then `{ env }`, `{ file }` or `{ provider, name }` with the whole address. It only passes bytes on (CONNECT): TLS is
   * verified up to the provider. `false` uses none.
   * @default the variable HTTPS_PROXY, except for hosts in NO_PROXY
   */
  proxy: Type.Optional(Type.Union([Type.Literal(false), SecretSourceSchema], { secretSource: 'url' })),
  /**
   * The authorities that may sign the certificates of the provider and of an https proxy, in place of those that Node
   * trusts: PEM text, or the path of a file. For the authority of a company.
   * @default those of Node, with NODE_EXTRA_CA_CERTS
   */
  ca: Type.Optional(Type.String()),
  /**
   * Host names that may be asked over http, for a provider in a container beside this one: `['keycloak']`. Whoever is on
   * that network can replace the keys, so that in production it stops the boot.
   * @default none but this machine, and that in development only
   */
  insecureHosts: Type.Optional(Type.Array(
    Type.String({ pattern: '^[A-Za-z0-9._-]+$', hint: "Write the bare name of a host: 'keycloak'." }),
    { minItems: 1 }
  )),
  /**
   * An instance of `get-jwks` that fetches the keys instead of the suite: `buildGetJwks({ … })`. The keys are checked as
   * usual, and the times above hold. It gives one key at a time by its `kid`, so it cannot promise what the suite's own
   * loader does: no key is there before its first token, tokens without `kid` are refused, requests cause up to 8 look-ups
   * of unknown keys for each `cooldown` instead of one, and its dispatcher alone limits size and redirects. Use the instance
   * for nothing else: each look-up clears the key from its caches, so that a removed key ends. Any object with such a
   * `getJwk` works; if it caches, a removed key lives as long as that cache. Excludes `proxy`, `ca` and `insecureHosts`.
   * @default none: the suite fetches the whole key set
   */
  source: Type.Optional(Type.Unsafe<JwkSource>({}))
})

export type KeysOptions = Static<typeof KeysOptionsSchema>

type TimeName = 'refresh' | 'cooldown' | 'maxStale' | 'timeout'

/** The times of {@link KeysOptions} with every default, in milliseconds. */
export type KeyTimes = Readonly<Record<TimeName, number>>

const defaults = { refresh: 600_000, cooldown: 30_000, maxStale: 86_400_000, timeout: 5000 } as const satisfies KeyTimes

/** The times of a ring in milliseconds, from options that were checked. An unstated cooldown is never longer than `refresh`. */
export function resolveKeysOptions (options: KeysOptions = {}): KeyTimes {
  const ms = (name: TimeName) => options[name] === undefined ? defaults[name] : milliseconds(options[name])
  const refresh = ms('refresh')
  const cooldown = options.cooldown === undefined ? Math.min(refresh, defaults.cooldown) : ms('cooldown')
  return { refresh, cooldown, maxStale: ms('maxStale'), timeout: ms('timeout') }
}

const HOUR = 3_600_000
const DAY = 24 * HOUR

/** In milliseconds. */
const ranges: ReadonlyArray<readonly [name: TimeName, minimum: number, maximum: number]> = [
  ['refresh', 10_000, DAY],
  ['cooldown', 1000, HOUR],
  ['maxStale', 10_000, 7 * DAY],
  ['timeout', 100, 30_000]
]

/**
 * Checks what the schema cannot say. The lower limits hold only in production, so that tests can be quick. Values that
 * the schema refuses are passed over.
 */
export function validateKeys (options: KeysOptions, environment: 'production' | 'development', path: string, problems: Problems): void {
  const readable = ranges.filter(([name]) => options[name] !== undefined && parseDuration(options[name]) !== undefined)
  for (const [name, lowest, maximum] of readable) {
    const minimum = environment === 'production' ? lowest : 1
    const ms = parseDuration(options[name] ?? minimum) ?? minimum
    if (ms >= minimum && ms <= maximum) continue
    problems.add('SECURE_API_OPTION_RANGE', `${path}.${name}`,
      `${ms} milliseconds are out of range`, `Give ${minimum} to ${maximum} milliseconds.`)
  }
  checkOrder(resolveKeysOptions(Object.fromEntries(readable.map(([name]) => [name, options[name]]))), path, problems)
  if (options.insecureHosts !== undefined && environment === 'production') {
    problems.add('SECURE_API_URL_INSECURE', `${path}.insecureHosts`,
      'keys fetched over http can be replaced on the way, and with them every token',
      'Leave it out in production, or set `environment` (or NODE_ENV) to development if the provider runs in a container beside this one.')
  }
  checkRoute(options, path, problems)
  if (options.source !== undefined) checkSource(options, path, problems)
}

/** What says how the suite fetches, which it does not do then. */
const ownFetch = ['proxy', 'ca', 'insecureHosts'] as const

function checkSource (options: KeysOptions, path: string, problems: Problems): void {
  const source: unknown = options.source
  if (typeof (source as Partial<JwkSource> | null)?.getJwk !== 'function') {
    problems.add('SECURE_API_OPTION_TYPE', `${path}.source`,
      'it has no function `getJwk`', 'Give an instance of get-jwks: `buildGetJwks({ … })`.')
  }
  for (const name of ownFetch.filter(name => options[name] !== undefined)) {
    problems.add('SECURE_API_OPTION_CONFLICT', `${path}.${name}`,
      'the keys are fetched by `source`, which knows nothing of it', 'Give `source` a dispatcher that does it, or leave one of them out.')
  }
}

function checkOrder ({ refresh, cooldown, maxStale }: KeyTimes, path: string, problems: Problems): void {
  if (maxStale < refresh) {
    problems.add('SECURE_API_OPTION_CONFLICT', `${path}.maxStale`,
      'it is shorter than `refresh`: keys would run out between two fetches', 'Give at least `refresh`.')
  }
  if (cooldown > refresh) {
    problems.add('SECURE_API_OPTION_CONFLICT', `${path}.cooldown`, 'it is longer than `refresh`', 'Give `refresh` at most.')
  }
}
