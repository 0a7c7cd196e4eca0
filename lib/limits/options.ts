import { Type, type Static } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import { DurationSchema } from '../config/index.ts'
import type { RedisLike } from '../redis/index.ts'

const AlgorithmSchema = Type.Union([
  Type.Literal('sliding-window'),
  Type.Literal('fixed-window'),
  Type.Literal('token-bucket'),
  Type.Literal('concurrency')
])

const StoreFailureSchema = Type.Union([Type.Literal('local'), Type.Literal('deny'), Type.Literal('allow')])

const PartitionSchema = Type.Union([
  Type.Literal('principal'),
  Type.Literal('address'),
  Type.Literal('api-key'),
  Type.Literal('client'),
  Type.Literal('tenant'),
  Type.Unsafe<(request: FastifyRequest) => string | undefined>(Type.Function([], Type.Any()))
])

const CostSchema = Type.Union([
  Type.Integer({ minimum: 1, maximum: 1_000_000_000 }),
  Type.Unsafe<(request: FastifyRequest) => number>(Type.Function([], Type.Any()))
])

const PlanSchema = Type.Object({
  /** As of the limit. */
  limit: Type.Integer({ minimum: 1, maximum: 1_000_000_000 }),
  /** As of the limit. @default that of the limit */
  window: Type.Optional(DurationSchema),
  /** As of the limit. @default that of the limit, or the plan's own `limit` */
  burst: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000_000 }))
}, { additionalProperties: false })

/** One limit: how much of what, in which time, for whom. */
export const LimitSchema = Type.Object({
  /** How many requests (units, where a `cost` is set) one caller may make in a `window`; for `concurrency`, how many at the same time. */
  limit: Type.Integer({ minimum: 1, maximum: 1_000_000_000 }),
  /** The length of the window, 1 ms to 31 days: milliseconds or `'1 minute'`. Required, except for `concurrency`, which has none. */
  window: Type.Optional(DurationSchema),
  /**
   * How requests are counted.
   * `sliding-window` never admits more than `limit` in any window, wherever it starts; exact up to a limit of 100, and above
   * that a request may count up to a hundredth of the window longer (never shorter). State: at most 102 entries a caller.
   * `fixed-window` starts a window at the first request; two windows' worth can meet at its edge. One entry.
   * `token-bucket` (GCRA) refills steadily and admits up to `burst` at once; any window sees at most `burst + limit`. One entry.
   * `concurrency` limits requests in flight.
   * @default 'sliding-window'
   */
  algorithm: Type.Optional(AlgorithmSchema),
  /** Only for `token-bucket`: how many may come at once. Lower is smoother. @default the value of `limit` */
  burst: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000_000 })),
  /** Only for `concurrency`: after how long a permit that nobody gave back (a crashed process) is free again. @default '5 minutes' */
  lease: Type.Optional(DurationSchema),
  /**
   * Whose budget it is. A request without that property (an anonymous one, for `principal`) is counted by address.
   * A function returns the key itself; when it returns nothing, the address is counted.
   * @default 'principal'
   */
  by: Type.Optional(PartitionSchema),
  /** How many units one request takes, or a function that says so; a result that is no whole number of at least 1 refuses the request. @default 1 */
  cost: Type.Optional(CostSchema),
  /**
   * Limits by the caller's plan, for callers with a credential; `limit` itself is for those without one. A plan that
   * is not listed, or that cannot be told, is refused: never unlimited. A change of plan starts a new count.
   */
  plans: Type.Optional(Type.Record(Type.String(), PlanSchema)),
  /** Where the plan is: the path of a claim (`'plan'`, `'app_metadata.plan'`), or a function that returns its name. Required with `plans`. */
  plan: Type.Optional(Type.Union([
    Type.String(),
    Type.Unsafe<(request: FastifyRequest) => string | undefined>(Type.Function([], Type.Any()))
  ])),
  /** Counts and reports, and refuses nothing: for trying a limit out on real traffic. @default false */
  dryRun: Type.Optional(Type.Boolean()),
  /** What happens while the shared store cannot be asked; see `rateLimit.onStoreFailure`. @default the value there */
  onStoreFailure: Type.Optional(StoreFailureSchema)
}, { additionalProperties: false })

/** Options of the rate limiter. */
export const RateLimitOptionsSchema = Type.Object({
  /**
   * Where counts are shared between processes: a `redis://` or `rediss://` URL, or an instance of ioredis, ioredis Cluster,
   * iovalkey or node-redis. A URL needs the package ioredis. Absent: each process counts for itself, so that n processes admit n times the limit.
   */
  redis: Type.Optional(Type.Union([Type.String({ secret: true }), Type.Unsafe<RedisLike>({})])),
  /**
   * The budget of one address (IPv6: one /64) for everything it sends, checked before any cryptography.
   * `false` leaves floods of forged tokens to be verified one by one.
   * @default { limit: 1000, window: '1 minute', algorithm: 'token-bucket', by: 'address' }
   */
  perAddress: Type.Optional(Type.Union([Type.Literal(false), LimitSchema])),
  /**
   * The budget of one address for failed authentications, apart from the one above.
   * `false` lets an address guess credentials at the rate of `perAddress`.
   * @default { limit: 20, window: '1 minute', by: 'address' }
   */
  failures: Type.Optional(Type.Union([Type.Literal(false), LimitSchema])),
  /**
   * Limits by name, for `config.rateLimit` of routes. One name is one budget, however many routes use it.
   * `read` (GET, HEAD, OPTIONS) and `write` (the rest) apply where a route names none; they can be replaced.
   * @default { read: { limit: 100, window: '1 minute' }, write: { limit: 10, window: '1 minute' } }
   */
  policies: Type.Optional(Type.Record(Type.String(), LimitSchema)),
  /**
   * While Redis cannot be asked: `local` counts in this process (each process then admits up to the limit),
   * `deny` answers 503 with `Retry-After`, `allow` admits everything.
   * @default 'local'
   */
  onStoreFailure: Type.Optional(StoreFailureSchema),
  /** What every key in Redis starts with. Change it when several applications share one Redis. @default 'secure-api:' */
  keyPrefix: Type.Optional(Type.String({ pattern: '^[\\w:.-]{1,64}$', hint: 'Use 1 to 64 letters, digits, `:`, `.`, `_` or `-`.' })),
  /** Sends the older `X-RateLimit-Limit`, `-Remaining` and `-Reset` (in seconds) too. @default false */
  legacyHeaders: Type.Optional(Type.Boolean())
}, { additionalProperties: false })

/** `config.rateLimit` of a route: a policy's name, several (all must admit, or none counts), a limit of its own, or none. */
export const RouteRateLimitSchema = Type.Union([
  Type.Literal(false),
  Type.String(),
  Type.Array(Type.String(), { minItems: 1 }),
  LimitSchema
])

export type Limit = Static<typeof LimitSchema>
export type RateLimitOptions = Static<typeof RateLimitOptionsSchema>
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
