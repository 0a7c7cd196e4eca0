import type { FastifyRequest } from 'fastify'
import { DurationSchema, Type, type Static } from '../config/index.ts'
import type { RedisLike } from '../redis/index.ts'
import type { Secret, SecretPlace } from '../secrets/index.ts'

const AlgorithmSchema = Type.Union([
  Type.Literal('sliding-window'), Type.Literal('fixed-window'), Type.Literal('token-bucket'), Type.Literal('concurrency')
])
const StoreFailureSchema = Type.Union([Type.Literal('local'), Type.Literal('deny'), Type.Literal('allow')])
const NameFunctionSchema = Type.Function<(request: FastifyRequest) => string | undefined>()
const PartitionSchema = Type.Union([
  Type.Literal('principal'), Type.Literal('address'), Type.Literal('api-key'), Type.Literal('client'), Type.Literal('tenant'),
  NameFunctionSchema
])
const AmountSchema = Type.Integer({ minimum: 1, maximum: 1_000_000_000 })
const CostSchema = Type.Union([AmountSchema, Type.Function<(request: FastifyRequest) => number>()])

const LeasedSchema = Type.Number({ minimum: 0, maximum: 0.25 })

const PlanSchema = Type.Object({
  /** As in the limit. */
  limit: AmountSchema,
  /** As in the limit. @default that of the limit */
  window: Type.Optional(DurationSchema),
  /** As in the limit. @default that of the limit, or the plan's own `limit` */
  burst: Type.Optional(AmountSchema)
})

/** One limit: how much, in which time, for whom. */
export const LimitSchema = Type.Object({
  /** Requests (units, where `cost` is set) per caller and `window`; for `concurrency`, requests at the same time. */
  limit: AmountSchema,
  /** The length of the window, 1 ms to 31 days: milliseconds or `'1 minute'`. Required, except for `concurrency`, which has none. */
  window: Type.Optional(DurationSchema),
  /**
   * How requests are counted.
   * `sliding-window` never admits more than `limit` in any window; exact up to a limit of 100, above that a request may count up
   * to 1 % of the window longer (never shorter). State: at most 102 entries per caller.
   * `fixed-window` starts a window at the first request; up to twice the limit can pass around its edge. One entry.
   * `token-bucket` (GCRA) refills steadily and admits up to `burst` at once; any window admits at most `burst + limit`. One entry.
   * `concurrency` limits requests in flight.
   * @default 'sliding-window'
   */
  algorithm: Type.Optional(AlgorithmSchema),
  /** Only for `token-bucket`: how many are admitted at once. Lower is smoother. @default the value of `limit` */
  burst: Type.Optional(AmountSchema),
  /** Only for `concurrency`: when a permit that was never released (after a crash) becomes free. @default '5 minutes' */
  lease: Type.Optional(DurationSchema),
  /**
   * Whose budget it is. A request without that property (an anonymous one, for `principal`) counts by address.
   * A function returns the key; if it returns nothing, the request counts by address.
   * @default 'principal'
   */
  by: Type.Optional(PartitionSchema),
  /** Units per request, or a function that returns them; any result but a whole number of at least 1 refuses the request. @default 1 */
  cost: Type.Optional(CostSchema),
  /**
   * Limits by the caller's plan, for callers with a credential; `limit` itself is for those without one. An unlisted or unknown
   * plan is refused, never unlimited. A change of plan starts a new count.
   */
  plans: Type.Optional(Type.Record(PlanSchema)),
  /** The plan: the path of a claim (`'plan'`, `'app_metadata.plan'`), or a function that returns its name. Required with `plans`. */
  plan: Type.Optional(Type.Union([Type.String(), NameFunctionSchema])),
  /** Counts and reports without refusing, to try a limit on real traffic. @default false */
  dryRun: Type.Optional(Type.Boolean()),
  /**
   * Only with Redis: the share of `limit` (of `burst`, if there is one) that a process takes from Redis at once for a caller who comes
   * often, to admit the next requests without asking; 0 to 0.25. In any window, `processes` × `limit` × `leased` more than the
   * algorithm's bound may pass, and a caller may be refused while other processes hold as much, for 2 seconds at most. 0 asks each time.
   * @default the value of `rateLimit.leased`
   */
  leased: Type.Optional(LeasedSchema),
  /** What happens while the shared store is unavailable; see `rateLimit.onStoreFailure`. @default the value there */
  onStoreFailure: Type.Optional(StoreFailureSchema)
})

/** Options of the rate limiter. */
export const RateLimitOptionsSchema = Type.Object({
  /**
   * Where processes share counts: a `redis://` or `rediss://` URL, or an instance of ioredis, ioredis Cluster, iovalkey or
   * node-redis. A URL with a password: `{ env }`, `{ file }` or `{ provider, name }`; a new one is used without a restart. A URL needs the
   * package ioredis. Absent: each process counts for itself, so n processes admit n times the limit.
   */
  redis: Type.Optional(Type.Union([Type.String({ secret: true }), Type.Unsafe<RedisLike | SecretPlace | Secret>({})],
    { secretSource: 'url' })),
  /**
   * The budget of one address (IPv6: one /64) for all its requests, checked before any cryptography.
   * With `false`, floods of forged tokens are verified one by one.
   * @default { limit: 1000, window: '1 minute', algorithm: 'token-bucket', by: 'address' }
   */
  perAddress: Type.Optional(Type.Union([Type.Literal(false), LimitSchema])),
  /**
   * The budget of one address for failed authentications, in addition to the one above.
   * With `false`, an address can guess credentials at the rate of `perAddress`.
   * @default { limit: 20, window: '1 minute', by: 'address' }
   */
  failures: Type.Optional(Type.Union([Type.Literal(false), LimitSchema])),
  /**
   * Limits by name, for `config.rateLimit` of routes. One name is one budget, however many routes use it.
   * `read` (GET, HEAD, OPTIONS) and `write` (other methods) apply to routes that name none; they can be replaced.
   * @default { read: { limit: 100, window: '1 minute' }, write: { limit: 10, window: '1 minute' } }
   */
  policies: Type.Optional(Type.Record(LimitSchema)),
  /**
   * While Redis is unavailable: `local` counts in this process (each process then admits up to the limit),
   * `deny` answers 503 with `Retry-After`, `allow` admits everything.
   * @default 'local'
   */
  onStoreFailure: Type.Optional(StoreFailureSchema),
  /** `leased` of limits that state none, except `failures`, `concurrency` and where `cost` is a function. @default 0 */
  leased: Type.Optional(LeasedSchema),
  /** Prefix of every key in Redis. Change it when applications share one Redis. @default 'secure-api:' */
  keyPrefix: Type.Optional(Type.String({ pattern: '^[\\w:.-]{1,64}$', hint: 'Use 1 to 64 letters, digits, `:`, `.`, `_` or `-`.' })),
  /** Sends the older `X-RateLimit-Limit`, `-Remaining` and `-Reset` (in seconds) too. @default false */
  legacyHeaders: Type.Optional(Type.Boolean())
})

/** `config.rateLimit` of a route: the name of a policy, several (all must admit, or none counts), a limit of its own, or `false`. */
export const RouteRateLimitSchema = Type.Union([
  Type.Literal(false), Type.String(), Type.Array(Type.String(), { minItems: 1 }), LimitSchema
])

export interface Limit extends Static<typeof LimitSchema> {}
export interface RateLimitOptions extends Static<typeof RateLimitOptionsSchema> {}
export type RouteRateLimit = Static<typeof RouteRateLimitSchema>
export type Algorithm = Static<typeof AlgorithmSchema>
export type StoreFailure = Static<typeof StoreFailureSchema>
/** Whose budget a limit is. */
export type Partition = Static<typeof PartitionSchema>

export const defaultPolicies: Readonly<Record<'read' | 'write', Limit>> = Object.freeze({
  read: Object.freeze<Limit>({ limit: 100, window: 60_000 }),
  write: Object.freeze<Limit>({ limit: 10, window: 60_000 })
})

export const defaultPerAddress: Limit = Object.freeze({ limit: 1000, window: 60_000, algorithm: 'token-bucket', by: 'address' })
export const defaultFailures: Limit = Object.freeze({ limit: 20, window: 60_000, by: 'address' })
export const defaultKeyPrefix = 'secure-api:'
