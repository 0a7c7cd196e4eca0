import cookie from '@fastify/cookie'
import formbody from '@fastify/formbody'
import fc from 'fast-check'
import type { FastifyContextConfig, FastifyInstance, FastifyPluginAsync, InjectOptions, RouteOptions } from 'fastify'
import t from 'tap'
import secureApi, { type AuditEvent, type RoutePosture, type SecureApiOptions } from '../../plugins/index.ts'
import { bearer, startFastify, startIssuer } from '../helpers/server.ts'

const issuer = await startIssuer(t)
const origin = 'https://app.example.com'
const callers: Readonly<Record<string, InjectOptions['headers']>> = {
  stranger: {},
  nobody: bearer(issuer),
  reader: bearer(issuer, { scope: 'api.read' }),
  admin: bearer(issuer, { scope: 'api.read api.write', roles: ['admin'] })
}

type Config = Record<string, unknown>

/** What a route, or a hook, may say in `config`; a rule and `public` never meet. */
const access = fc.constantFrom<Config>({}, { public: true }, { authenticated: true }, { scope: 'api.read' }, { role: 'admin' },
  { scope: { all: ['api.read', 'api.write'] } }, { policy: 'admins' })
const others = fc.record({
  rateLimit: fc.constantFrom<unknown>('read', 'write', false, { limit: 77, window: '1 minute' }),
  cors: fc.constantFrom<unknown>(false, { credentials: false }),
  headers: fc.constantFrom<unknown>({ referrerPolicy: 'origin' }, { referrerPolicy: 'same-origin' }),
  audit: fc.constantFrom<unknown>('orders.list', 'orders.other', false)
}, { requiredKeys: [] })
const config = fc.tuple(access, others).map(([rule, rest]) => ({ ...rule, ...rest }))

const accessKeys = ['public', 'authenticated', 'scope', 'role', 'policy']
const without = (given: object) => Object.fromEntries(Object.entries(given).filter(([key]) => !accessKeys.includes(key)))

/** How a hook changes the options of a route. */
const change = fc.tuple(fc.constantFrom('spread', 'replace', 'mutate', 'remove'), config)
type Change = [kind: string, config: Config]

function apply ([kind, added]: Change, route: RouteOptions): void {
  const own = route.config ?? {}
  switch (kind) {
    case 'spread': route.config = { ...without(own), ...added } as FastifyContextConfig; return
    case 'replace': route.config = { ...added } as FastifyContextConfig; return
    case 'remove': route.config = without(own) as FastifyContextConfig; return
    default:
      for (const key of accessKeys) Reflect.deleteProperty(own, key)
      route.config = Object.assign(own, added) as FastifyContextConfig
  }
}

interface Group {
  readonly hooks: readonly Change[],
  readonly late: readonly Change[],
  readonly routes: readonly Config[],
  readonly inner: Group | undefined,
  readonly bare: boolean
}

const { group } = fc.letrec<{ group: Group }>(tie => ({
  group: fc.record({
    hooks: fc.array(change, { maxLength: 1 }),
    late: fc.array(change, { maxLength: 1 }),
    routes: fc.array(config, { maxLength: 2 }),
    inner: fc.option(tie('group'), { nil: undefined, maxDepth: 2 }),
    bare: fc.boolean()
  })
}))

const application = fc.record({
  group,
  early: fc.array(config, { maxLength: 1 }),
  beside: fc.boolean(),
  neighbours: fc.shuffledSubarray(['cookie', 'formbody']),
  byDefault: fc.constantFrom<'deny' | 'authenticated'>('deny', 'authenticated'),
  path: fc.option(config.filter(rule => Object.keys(rule).length > 0), { nil: undefined })
})
type Application = typeof application extends fc.Arbitrary<infer Value> ? Value : never

let routes = 0

/** Answers what Fastify holds for the route. */
function declare (app: FastifyInstance, url: string, given: Config): void {
  app.get(url, { config: { ...given } as FastifyContextConfig }, async ({ routeOptions }) => routeOptions.config)
}

function plugin ({ hooks, late, routes: configs, inner, bare }: Group): FastifyPluginAsync {
  return async app => {
    for (const hook of hooks) app.addHook('onRoute', route => { apply(hook, route) })
    for (const [index, given] of configs.entries()) declare(app, index === 0 && bare ? '/' : `/r${++routes}`, given)
    for (const hook of late) app.addHook('onRoute', route => { apply(hook, route) })
    if (configs[0] !== undefined) declare(app, `/r${++routes}/:id`, configs[0])
    if (inner !== undefined) await app.register(plugin(inner), { prefix: `/g${++routes}` })
  }
}

async function start ({ group, early, beside, neighbours, byDefault, path }: Application): Promise<{
  app: FastifyInstance,
  events: AuditEvent[]
}> {
  const events: AuditEvent[] = []
  const app = startFastify(t)
  for (const given of early) declare(app, '/early', given)
  const options: SecureApiOptions = {
    auth: { issuer: issuer.issuer, audience: issuer.audience },
    authorization: {
      default: byDefault,
      policies: { admins: { role: 'admin' } },
      ...(path !== undefined && { routes: { '/by/path': path as FastifyContextConfig } })
    },
    rateLimit: {
      perAddress: false,
      failures: false,
      policies: { read: { limit: 1000, window: '1 minute' }, write: { limit: 900, window: '1 minute' } }
    },
    cors: { origins: [origin] },
    audit: { sink: event => { events.push(event) } },
    environment: 'development'
  }
  const registered = app.register(secureApi, options)
  if (!beside) await registered
  for (const name of neighbours) await app.register(name === 'cookie' ? cookie : formbody)
  declare(app, '/by/path', {})
  await app.register(plugin(group), { prefix: `/g${++routes}` })
  await app.ready()
  return { app, events }
}

/** Who gets through, by what the posture says. */
function admitted ({ access, accessByDefault }: RoutePosture): string[] {
  const everybody = Object.keys(callers)
  const known = everybody.filter(name => name !== 'stranger')
  const stated = access === 'none' ? (accessByDefault === 'authenticated' ? 'authenticated' : 'nobody') : access
  if (stated === 'public') return everybody
  if (stated === 'authenticated') return known
  if (stated === 'nobody') return []
  const { scope } = stated as { scope?: unknown }
  return scope === 'api.read' ? ['reader', 'admin'] : ['admin']
}

/** By what Fastify holds, read by other code than the suite's. */
function statedBy (held: Config): unknown {
  if (held.public === true) return 'public'
  const rule = Object.fromEntries(Object.entries(held).filter(([key]) => ['scope', 'role', 'policy'].includes(key)))
  return Object.keys(rule).length > 0 ? rule : held.authenticated === true ? 'authenticated' : 'none'
}

const plain = (value: unknown) => JSON.parse(JSON.stringify(value ?? null)) as unknown

interface Met {
  readonly through: string[],
  readonly headers: Record<string, unknown>,
  readonly held: Config | undefined,
  readonly actions: unknown[]
}

async function meet (app: FastifyInstance, events: AuditEvent[], url: string): Promise<Met> {
  const through: string[] = []
  let [held, headers]: [Config | undefined, Record<string, unknown>] = [undefined, {}]
  events.length = 0
  for (const [name, credentials] of Object.entries(callers)) {
    const response = await app.inject({ url, headers: { ...credentials, origin } })
    headers = response.headers
    if (response.statusCode !== 200) continue
    through.push(name)
    held = response.json<Config>()
  }
  return { through, headers, held, actions: events.filter(({ outcome }) => outcome === 'allowed').map(({ action }) => action) }
}

function expectedLimit (rateLimit: unknown): unknown {
  const [first] = Array.isArray(rateLimit) ? rateLimit as { limit: number }[] : []
  return first === undefined ? undefined : first.limit
}

/** What is wrong with one row; nothing if requests meet just that. */
function differences (row: RoutePosture, { through, headers, held, actions }: Met): unknown[] {
  const found: unknown[] = []
  const same = (what: string, wanted: unknown, got: unknown) => {
    if (JSON.stringify(plain(wanted)) !== JSON.stringify(plain(got))) found.push({ url: row.url, what, wanted, got })
  }
  same('who gets through', admitted(row), through)
  if (held !== undefined && row.source === undefined) {
    same('rule', statedBy(held), row.access)
    same('headers', held.headers ?? 'default', row.headers)
    same('cors', held.cors ?? 'default', row.cors)
    same('audit', held.audit ?? true, row.audit)
  }
  if (through.length > 0) {
    same('limit', expectedLimit(row.rateLimit), /q=(\d+)/.exec(String(headers['ratelimit-policy']))?.slice(1).map(Number)[0])
    same('actions', row.audit === false ? [] : through.map(() => row.audit === true ? `GET ${row.url}` : row.audit), actions)
  }
  same('origin', row.cors === false ? undefined : origin, headers['access-control-allow-origin'])
  const { referrerPolicy = 'no-referrer' } = row.headers === 'default' ? {} : row.headers as { referrerPolicy?: string }
  same('referrer policy', referrerPolicy, headers['referrer-policy'])
  return found
}

t.test('14: app.secureApi.routes() says exactly what requests meet, in random applications', async () => {
  await fc.assert(fc.asyncProperty(application, async built => {
    const { app, events } = await start(built)
    if (built.early.length > 0) await app.inject('/early')
    const rows = app.secureApi.routes().filter(({ methods }) => methods.includes('GET'))
    const found: unknown[] = []
    for (const row of rows) {
      const url = row.url.replace(':id', '1')
      found.push(...differences(row, await meet(app, events, url)))
      if (url !== '/' && (await app.inject(`${url}/`)).statusCode !== 404) {
        found.push(...differences(row,
          await meet(app, events, `${url}/`)))
      }
    }
    await app.close()
    if (found.length > 0) throw new Error(JSON.stringify(found))
  }), { numRuns: 40 })
})

t.test('16: app.secureApi.routes() gives out ordinary objects, and none that the suite works with', async t => {
  const app = startFastify(t)
  await app.register(secureApi, {
    auth: { issuer: issuer.issuer, audience: issuer.audience },
    authorization: { policies: { admins: { role: 'admin' } } },
    cors: { origins: [origin], credentials: false },
    environment: 'development'
  })
  app.get('/orders', {
    config: {
      scope: { any: ['api.read', 'api.write'] },
      cors: { credentials: false },
      headers: { referrerPolicy: 'origin', contentSecurityPolicy: { directives: { 'img-src': ["'self'"] } } },
      rateLimit: { limit: 5, window: '1 minute' }
    }
  }, async () => [])
  app.get('/admin', { config: { policy: 'admins' } }, async () => [])
  await app.ready()
  const rows = app.secureApi.routes()
  t.strictSame(rows.flatMap(row => withoutPrototype(row, row.url)), [])
  t.equal(String(rows[0]?.headers), '[object Object]')
  Object.assign(rows[0]?.corsApplication ?? {}, { origins: ['https://evil.example.com'] })
  t.strictSame(app.secureApi.routes()[0]?.corsApplication?.origins, [origin])
})

/** Where in a value an object inherits nothing. */
function withoutPrototype (value: unknown, path: string): string[] {
  if (typeof value !== 'object' || value === null) return []
  const own = Reflect.getPrototypeOf(value) === null ? [path] : []
  return [...own, ...Object.entries(value).flatMap(([key, member]) => withoutPrototype(member, `${path}.${key}`))]
}
