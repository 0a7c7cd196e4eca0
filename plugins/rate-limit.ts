import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import { ConfigurationError, defineSection, movedClock, type ConfigurationCode, type Problems } from '../lib/config/index.ts'
import {
  createLimiter, defaultKeyPrefix, isRedisUrl, isUnavailable, kDecided, LimitBook, policyNames, probeRedis, ProxyWatch,
  RateLimitOptionsSchema, RouteRateLimitSchema, validateRateLimit, validateRouteRateLimit, type AddressFinding, type Entry, type Limit,
  type LimitChange, type Limiter, type LimiterEvent, type LimiterStatus, type LimitState, type RateLimitOptions, type RouteRateLimit
} from '../lib/limits/index.ts'
import { addressOf, type AnswerCode } from '../lib/http/index.ts'
import {
  connectRedis, isRedisLike, peerCertificatesOf, StoreFailed, type RedisConnection, type RedisLike, type StoreFailureReason
} from '../lib/redis/index.ts'
import { routeOption, type Handler, type RouteInfo } from '../lib/pipeline/index.ts'
import { follow } from '../lib/secrets/index.ts'
import { expiryOfPeer } from '../lib/health/index.ts'
import { decorating } from './decorators.ts'
import { expiriesOf } from './expiries.ts'
import type { Misspelt } from './misspelt.ts'
import type { RateLimitName } from './names.ts'
import { pipelineOf } from './pipeline.ts'
import { serveRateLimitApi } from './rate-limit-api.ts'
import { addressHandler, failureBudget, kReservation, routeHandler, type Choose } from './rate-limit-handlers.ts'
import { serveLoginGuard } from './rate-limit-login.ts'
import { serverOptionsOf } from './fastify-internals.ts'
import { secretContextOf } from './secrets.ts'
import { suitePlugin } from './suite-plugin.ts'
import { warn } from './warn.ts'

declare module 'fastify' {
  interface FastifyContextConfig extends Misspelt<'rateLimit'> {
    /**
     * The route's limit: a policy's name, several names, a limit of its own, or `false`. @default `read` for GET, HEAD, OPTIONS and
     * `write` for the rest
     */
    rateLimit?: false | RateLimitName | RateLimitName[] | (Limit & Misspelt<keyof Limit>)
  }
  interface FastifyInstance {
    /** Switches of the limiter, for this process and until it ends. */
    rateLimits: RateLimits
  }
}

/** Status of the limiter, and of the addresses it counts by. */
export interface RateLimitStatus extends LimiterStatus {
  /** What is wrong with `trustProxy`, by what requests show; absent when nothing is. */
  readonly addresses?: readonly AddressFinding[]
  /** Names of policies that were changed since the start. */
  readonly changed?: readonly string[]
}

/** Looks at and changes limits while the server runs. */
export interface RateLimits {
  /** Every policy as it is now; `address` and `failures` are the two that count by address. */
  list (): readonly LimitState[]
  /**
   * Changes a policy from what the server was started with: `{ limit: 50 }`, `{ dryRun: true }`, `{ disabled: true }`. Checked as at
   * boot; throws a ConfigurationError and leaves everything as it was when the result would be refused there.
   */
  change (name: string, change: LimitChange): LimitState
  /** Takes all changes of a policy back. */
  restore (name: string): LimitState
  status (): RateLimitStatus
}

export const rateLimitSection = defineSection<RateLimitOptions, LimitBook>({
  key: 'rateLimit',
  schema: RateLimitOptionsSchema,
  rules: validateRateLimit,
  compile: options => new LimitBook(options)
})

const rateLimit: FastifyPluginAsync<RateLimitOptions> = async (app, given) => {
  const { options, compiled: book } = await rateLimitSection.open(given, secretContextOf(app, undefined))
  refuseBlindTrust(app)
  const pipeline = pipelineOf(app)
  const { limiter, client } = await openLimiter(app, options)
  const watch = new ProxyWatch(finding => warn(app, { finding }, `secure-api: ${findings[finding]}`))
  const { address, failures } = book
  pipeline.report('rateLimit', () => app.rateLimits.status())
  if (client !== undefined) watchStore(app, client, limiter, book)
  pipeline.add({
    name: 'rate-limit:address',
    phase: 'address-limit',
    compile: () => address === undefined ? undefined : { hook: 'onRequest', handler: watched(watch, addressHandler(limiter, address)) }
  })
  pipeline.add({
    name: 'rate-limit:route',
    phase: 'rate-limit',
    option: routeOption({
      key: 'rateLimit',
      schema: RouteRateLimitSchema,
      refine: (stated: RouteRateLimit | undefined, at) => policiesOf(stated, at.route, book,
        found => validateRouteRateLimit(stated ?? false, at.path, policyNames(options), found), at.problems)
    }),
    compile: ({ own }) => own && { hook: 'onRequest', handler: routeHandler(limiter, own, options.legacyHeaders === true) },
    posture: (own, route) => ({ rateLimit: describe(own, route) })
  })
  if (failures !== undefined) pipeline.offer({ failures: failureBudget(limiter, failures, movedClock()?.elapsed) })
  app.decorateRequest(kDecided, null)
  app.decorateRequest(kReservation, null)
  decorating(app).decorate('rateLimits', switches(app, limiter, book, watch))
  serveLoginGuard(app, limiter, book)
  serveRateLimitApi(app, limiter)
}

const safeMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

/** Which policies count a request of this route. `read` and `write` by its method where it names none. */
function policiesOf (stated: RouteRateLimit | undefined, { kind, methods, label }: RouteInfo, book: LimitBook,
  validate: (found: Problems) => void, problems: Problems): Choose | undefined {
  if (kind === 'unknown' || stated === false) return undefined
  if (stated === undefined || !problems.clean(validate)) return byMethod(methods, book)
  if (typeof stated === 'string' || Array.isArray(stated)) return book.select(named([stated].flat(), book))
  // A limit written at the route is a budget of that route alone. Its HEAD counts as its GET.
  const name = label.replace(/^route /, '').replace(/^HEAD /, 'GET ').replace(/[^\w./:-]+/g, '_')
  return book.select([book.define(name, stated)])
}

function byMethod (methods: readonly string[], book: LimitBook): Choose {
  const [read, write] = [book.select(named(['read'], book)), book.select(named(['write'], book))]
  if (methods.every(method => safeMethods.has(method))) return read
  if (!methods.some(method => safeMethods.has(method))) return write
  return ({ method }) => safeMethods.has(method) ? read() : write()
}

function named (names: readonly string[], book: LimitBook): readonly Entry[] {
  return names.flatMap(name => book.find(name) ?? [])
}

/** For `app.secureApi.routes()`. */
function describe (choose: Choose | undefined, { methods }: RouteInfo): unknown {
  if (choose === undefined) return false
  const policies = new Set(methods.flatMap(method => choose({ method })))
  return [...policies].map(({ name, limit, windowMs, algorithm, by, dryRun, leaseSize }) => ({
    policy: name, limit, windowMs, algorithm, by: typeof by === 'function' ? 'custom' : by, dryRun, ...(leaseSize > 0 && { leaseSize })
  }))
}

const findings: Readonly<Record<AddressFinding, string>> = {
  unreadable: 'X-Forwarded-For holds no readable address, so callers of that proxy share one budget; it must send the address alone',
  'forwarded-ignored': 'requests come through a proxy that is not in `trustProxy`, so its callers share one budget; add its address',
  'shared-address': 'nearly all requests come from one private address; if it is a proxy, it must send X-Forwarded-For; set `trustProxy`'
}

/** A number of hops trusts nobody since Fastify 5.12.1 (CVE-2026-16732); `true` believes the address that a caller writes itself. */
function refuseBlindTrust (app: FastifyInstance): void {
  const trusted = serverOptionsOf(app)?.trustProxy
  if (trusted === true) {
    return warn(app, { code: 'SECURE_API_SERVER_TRUST_PROXY' },
      'secure-api: trustProxy: true accepts any X-Forwarded-For, so callers evade limits; name the proxies by address or network')
  }
  if (typeof trusted !== 'number') return
  throw new ConfigurationError([{
    code: 'SECURE_API_SERVER_TRUST_PROXY',
    path: 'trustProxy',
    why: 'since Fastify 5.12.1 a number of hops trusts nobody, so all callers behind the proxy share one budget',
    fix: "Name the proxies by address or network: Fastify({ trustProxy: ['10.0.0.0/8'] })."
  }])
}

function watched (watch: ProxyWatch, handler: Handler): Handler {
  return (request, reply) => {
    const { socket, headers } = request.raw as Partial<typeof request.raw> // absent from requests of `app.injectWS()`
    watch.see({ ip: addressOf(request), peer: socket?.remoteAddress, forwarded: headers?.['x-forwarded-for'] !== undefined })
    return handler(request, reply)
  }
}

function switches (app: FastifyInstance, limiter: Limiter, book: LimitBook, watch: ProxyWatch): RateLimits {
  const change = (name: string, change: LimitChange): LimitState => {
    const state = book.change(name, change)
    warn(app, { rateLimit: state }, 'secure-api: a rate limit was changed at run time')
    return state
  }
  return Object.freeze({
    list: () => book.list(),
    change,
    restore: (name: string) => change(name, {}),
    status () {
      const changed = book.list().filter(state => state.changed).map(({ name }) => name)
      return {
        ...limiter.status(),
        ...(watch.findings.length > 0 && { addresses: watch.findings }),
        ...(changed.length > 0 && { changed })
      }
    }
  })
}

/** A URL opens a connection of our own, which we close; an instance, or the application's `app.redis`, stays the application's. */
async function openLimiter (app: FastifyInstance, { redis, keyPrefix }: RateLimitOptions) {
  // `@fastify/redis` decorates `app.redis` with a client, or with an object of named ones, which says nothing about which to use.
  const { redis: shared } = app as { redis?: unknown }
  const given = redis ?? (isRedisLike(shared) ? shared : undefined)
  const connection = isRedisLike(given) ? undefined : await connect(app, given)
  const client = isRedisLike(given) ? given : connection?.client
  const limiter = createLimiter({ redis: client, keyPrefix, now: movedClock()?.elapsed, onEvent: event => logEvent(app, event) })
  app.addHook('onClose', async () => {
    await limiter.close()
    connection?.close()
  })
  if (client !== undefined) await tellFailure(app, client, keyPrefix, connection)
  return { limiter, client }
}

/** In milliseconds: as long as a Redis may know only one of two passwords. */
const OVERLAP = 300_000

async function connect (app: FastifyInstance, given: RateLimitOptions['redis']): Promise<RedisConnection | undefined> {
  const [url] = follow(given, {
    overlap: OVERLAP,
    fault: text => isRedisUrl(text) ? undefined : 'it is not a Redis URL',
    changed: urls => connection.use(urls)
  })
  if (url === undefined) return undefined
  const connection = await connectRedis(url, 'rateLimit.redis', {
    schedule: movedClock()?.schedule,
    onRefused: failure => {
      const { reason } = failure ?? new StoreFailed('timeout')
      warn(app, { code: 'SECURE_API_SECRET_REFUSED' satisfies ConfigurationCode, reason },
        `secure-api: the new rateLimit.redis is not usable, so the old connection stays: ${storeFixes[reason]}`)
    }
  })
  return connection
}

/**
 * Without Redis an instance is unready only where every request would be refused: the limit by address denies, or `read` and `write` do.
 * The check asks Redis itself, since no request would: an instance without traffic has to notice that the store is back.
 */
function watchStore (app: FastifyInstance, client: RedisLike, limiter: Limiter, book: LimitBook): void {
  const expiries = expiriesOf(app)
  expiries.from(() => peerCertificatesOf(client).map(peer => expiryOfPeer('redis', peer)).filter(({ notAfter }) => notAfter > 0))
  const policyOf = (entry: Entry | undefined) => entry?.active.find(({ onStoreFailure, dryRun }) => onStoreFailure === 'deny' && !dryRun)
  pipelineOf(app).watch('redis', async () => {
    const [byAddress, read, write] = [book.address, book.find('read'), book.find('write')].map(policyOf)
    const policy = byAddress ?? (write && read)
    if (policy === undefined) return undefined
    const outcome = await limiter.peek(policy, 'secure-api health')
    return isUnavailable(outcome) ? 'Redis does not answer, so requests are refused' : undefined
  })
}

/** An instance may connect whenever it likes: it is not waited for. */
async function tellFailure (app: FastifyInstance, client: RedisLike, keyPrefix: string = defaultKeyPrefix,
  connection?: RedisConnection): Promise<void> {
  const tell = (failure: StoreFailed | undefined): void => {
    if (failure === undefined) return
    const { reason, code } = failure
    warn(app, { reason, cause: code, code: unavailable }, `secure-api: the rate-limit store is not usable: ${explained(failure)}`)
  }
  if (connection === undefined) probeRedis(client, keyPrefix).then(tell)
  else tell(await connection.ready ? await probeRedis(client, keyPrefix) : connection.failure() ?? new StoreFailed('timeout'))
}

const storeFixes: Readonly<Record<StoreFailureReason, string>> = {
  timeout: 'no answer in time; with `rediss://`, does the server speak TLS?',
  connection: 'no connection; check host, port and firewall',
  ended: 'the client is closed, or has given up, and does not connect by itself; connect it, or look at its strategy and restart',
  tls: 'no encrypted connection; check `rediss://`, the certificate, and that the server speaks TLS',
  authentication: 'the user or password is missing or wrong',
  permission: 'the user may not run the script on keys with this prefix; docs/recipes/redis-cluster.md lists the rights',
  cluster: 'this is one node of a cluster; pass a `Cluster` of ioredis as `rateLimit.redis`',
  'out-of-memory': 'the server is out of memory',
  'read-only': 'this is a replica; use the address of the primary',
  loading: 'the server is not ready',
  script: 'it does not run the script',
  reply: 'it does not answer like a Redis',
  unknown: 'an unknown error'
}

/** What to say to whoever reads the log: cause, consequence, what to type. */
function explained ({ reason, code }: StoreFailed): string {
  const cause = code === undefined ? storeFixes[reason] : `${storeFixes[reason]} (${code})`
  return `${cause}. Until then \`onStoreFailure\` decides, by default each process for itself; \`secure-api doctor redis\` shows more`
}

const unavailable = 'SECURE_API_RATE_LIMIT_UNAVAILABLE' satisfies AnswerCode

function logEvent (app: FastifyInstance, event: LimiterEvent): void {
  if (event.type === 'store-restored') app.log.info(event, 'secure-api: the rate-limit store is available again')
  else if (event.type === 'memory-saturated') warn(app, event, 'secure-api: there are more callers than the limiter can track')
  else {
    const { reason, code: cause } = event
    const text = `secure-api: the rate-limit store is unavailable: ${explained(new StoreFailed(reason, cause))}`
    warn(app, { ...event, cause, code: unavailable }, text)
  }
}

export default suitePlugin('secure-api-rate-limit', rateLimit)
