import fc from 'fast-check'
import type { FastifyContextConfig, FastifyInstance, FastifyReply, FastifyRequest, InjectOptions } from 'fastify'
import t from 'tap'
import secureApi, { audit, authentication, authorization, cors, headers, rateLimit, type SecureApiOptions } from '../../plugins/index.ts'
import { bearer, startFastify, startIssuer } from '../helpers/server.ts'

const origin = 'https://app.example.com'
const issuer = await startIssuer(t)

type Trace = string[]

/** Options whose functions tell when they are asked. */
function tracedOptions (trace: Trace) {
  return {
    auth: { issuer: issuer.issuer, audience: issuer.audience, isRevoked: () => { trace.push('authentication'); return false } },
    authorization: { policies: { traced: () => { trace.push('guard'); return true } } },
    // The budget of failures would ask for the address a second time.
    rateLimit: {
      failures: false,
      policies: {
        traced: {
          limit: 100,
          window: '1 minute',
          by: () => { trace.push('rate limit'); return 'all' }
        }
      }
    },
    headers: {},
    cors: { origins: [origin] },
    audit: { sink: () => { trace.push('audit') } },
    environment: 'development'
  } as const satisfies SecureApiOptions
}

/** Watches what the controls do to the response, and when they ask for the address. Registered before them. */
function watch (app: FastifyInstance, trace: Trace): void {
  app.addHook('onRequest', async (request: FastifyRequest, { raw }: FastifyReply) => {
    // Who first has something for the head takes the place of writeHead; CORS asks for the origin before it has.
    let writeHead = raw.writeHead
    Object.defineProperty(raw, 'writeHead', { get: () => writeHead, set: value => { trace.push('head'); writeHead = value } })
    Object.defineProperty(request.raw.headers, 'origin', { get: () => { if (!trace.includes('cors')) trace.push('cors'); return origin } })
    Object.defineProperty(request, 'ip', {
      get: () => { if (!trace.includes('address limit')) trace.push('address limit'); return '192.0.2.1' }
    })
  })
  app.addHook('preParsing', async () => { trace.push('body') })
}

function addRoutes (app: FastifyInstance, trace: Trace, rule: FastifyContextConfig = { scope: 'api.write', policy: 'traced' }): void {
  const handler = async () => { trace.push('handler'); return 'done' }
  app.post('/protected', { config: { ...rule, rateLimit: 'traced' } }, handler)
  app.post('/public', { config: { public: true, rateLimit: 'traced' } }, handler)
}

const requests: Readonly<Record<string, InjectOptions>> = {
  protected: { method: 'POST', url: '/protected', payload: { a: 1 } },
  public: { method: 'POST', url: '/public', payload: { a: 1 } },
  unknown: { method: 'POST', url: '/unknown', payload: { a: 1 } }
}

const expected: Readonly<Record<string, Trace>> = {
  protected: ['head', 'cors', 'address limit', 'authentication', 'rate limit', 'body', 'guard', 'handler', 'audit'],
  public: ['head', 'cors', 'address limit', 'rate limit', 'body', 'handler', 'audit'],
  unknown: ['head', 'cors', 'address limit', 'body', 'audit']
}

async function traceOf (app: FastifyInstance, trace: Trace, kind: string): Promise<Trace> {
  trace.length = 0
  await app.inject({ ...requests[kind], headers: { ...bearer(issuer, { scope: 'api.write' }), origin } })
  return [...trace]
}

t.test('the order that a protected, a public and an unknown route meet', async t => {
  const trace: Trace = []
  const app = startFastify(t)
  watch(app, trace)
  await app.register(secureApi, tracedOptions(trace))
  addRoutes(app, trace)
  for (const kind of Object.keys(expected)) {
    const met = await traceOf(app, trace, kind)
    t.comment(`${kind}: ${met.join(' → ')}`)
    t.strictSame(met, expected[kind], kind)
  }
})

t.test('app.secureApi.routes() tells the same order', async t => {
  const app = startFastify(t)
  await app.register(secureApi, tracedOptions([]))
  addRoutes(app, [])
  const steps = Object.fromEntries(app.secureApi.routes().map(({ url, steps }) => [url, steps]))
  const before = ['audit:watch', 'headers', 'cors', 'rate-limit:address', 'cors:preflight']
  t.strictSame(steps['/protected'], {
    onRequest: [...before, 'authentication', 'rate-limit:route'],
    preHandler: ['credential', 'authorization:guard', 'authorization:policy']
  })
  t.strictSame(steps['/public'], { onRequest: [...before, 'rate-limit:route'], preHandler: [] })
})

type Register = (app: FastifyInstance, options: ReturnType<typeof tracedOptions>) => Promise<void>

const plugins: Readonly<Record<string, Register>> = {
  authentication: async (app, { auth, environment }) => { await app.register(authentication, { ...auth, environment }) },
  authorization: async (app, options) => { await app.register(authorization, options.authorization) },
  rateLimit: async (app, options) => { await app.register(rateLimit, options.rateLimit) },
  headers: async (app, { environment }) => { await app.register(headers, { environment }) },
  cors: async (app, options) => { await app.register(cors, { ...options.cors, environment: options.environment }) },
  audit: async (app, options) => { await app.register(audit, options.audit) }
}

t.test('14 A7: it does not depend on the order of registration of the single plugins', async t => {
  const names: string[] = []
  await fc.assert(fc.asyncProperty(fc.shuffledSubarray(Object.keys(plugins), { minLength: Object.keys(plugins).length }), async order => {
    const trace: Trace = []
    const app = startFastify(t)
    watch(app, trace)
    for (const name of order) await plugins[name]?.(app, tracedOptions(trace))
    addRoutes(app, trace)
    for (const kind of Object.keys(expected)) t.strictSame(await traceOf(app, trace, kind), expected[kind], `${order.join(', ')}: ${kind}`)
    names.push(order.join())
    await app.close()
  }), { numRuns: 25 })
  t.ok(new Set(names).size > 10, 'many orders')
})

t.test('14 A7: whoever is over the limit of its address gets 429, and not the 503 of the audit gate, in either order', async t => {
  const sink = () => new Promise<void>(() => {})
  const limit = { perAddress: { limit: 1, window: '1 minute' } } as const
  for (const order of [[audit, rateLimit], [rateLimit, audit]] as const) {
    const app = startFastify(t)
    for (const plugin of order) {
      if (plugin === audit) await app.register(audit, { sink, buffer: 1, onSinkFailure: 'deny', closeTimeout: 10 })
      else await app.register(rateLimit, limit)
    }
    const statuses = []
    for (let call = 0; call < 3; call++) statuses.push((await app.inject({ url: '/nowhere', remoteAddress: '192.0.2.1' })).statusCode)
    t.strictSame([statuses, (await app.inject({ url: '/nowhere', remoteAddress: '192.0.2.2' })).statusCode], [[404, 429, 429], 503])
  }
})

/** What each plugin does to a public route by itself; the audit event names the address too. */
const alone: Readonly<Record<string, Trace>> = {
  authentication: ['body', 'handler'],
  authorization: ['body', 'handler'],
  rateLimit: ['address limit', 'rate limit', 'head', 'body', 'handler'],
  headers: ['head', 'body', 'handler'],
  cors: ['cors', 'head', 'body', 'handler'],
  audit: ['body', 'handler', 'address limit', 'audit']
}

t.test('each plugin works alone', async t => {
  for (const [name, register] of Object.entries(plugins)) {
    const trace: Trace = []
    const app = startFastify(t)
    watch(app, trace)
    await register(app, tracedOptions(trace))
    // Alone it cannot keep a rule, and says so.
    addRoutes(app, trace, ...(name === 'authentication' ? [{ authenticated: true as const }] : []))
    t.strictSame(await traceOf(app, trace, 'public'), alone[name], name)
    const closed = name === 'authentication' || name === 'authorization'
    t.equal((await app.inject({ method: 'POST', url: '/protected' })).statusCode, closed ? 401 : 200, name)
  }
})

t.test('a preflight meets headers and the address limit, then its answer, and no credential is asked for', async t => {
  const trace: Trace = []
  const app = startFastify(t)
  watch(app, trace)
  const options = tracedOptions(trace)
  await app.register(secureApi, { ...options, rateLimit: { ...options.rateLimit, perAddress: { limit: 1, window: '1 minute' } } })
  addRoutes(app, trace)
  const preflight: InjectOptions = { method: 'OPTIONS', url: '/protected', headers: { origin, 'access-control-request-method': 'POST' } }
  const first = await app.inject(preflight)
  t.strictSame(trace, ['head', 'cors', 'address limit', 'audit'])
  t.equal(first.statusCode, 204)
  t.equal(first.headers['access-control-allow-origin'], origin)
  const second = await app.inject(preflight)
  t.equal(second.statusCode, 429)
  t.equal(second.headers['access-control-allow-methods'], undefined)
})
