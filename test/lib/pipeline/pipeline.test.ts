import { Type } from '@sinclair/typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { ConfigurationError, pageOf, Problems } from '../../../lib/config/index.ts'
import { ownRefusal, refusal, type Refusal } from '../../../lib/http/index.ts'
import {
  answered, PathRules, phases, Pipeline, RefusalError, refusalOf, routeOption, run, type Control, type FramePorts,
  type Handler
} from '../../../lib/pipeline/index.ts'

const forbidden = refusal('SECURE_API_FORBIDDEN')

/** What a request and its reply saw; Fastify itself is tested with the plugins. */
class Exchange {
  readonly logged: unknown[] = []
  readonly sent: { status: number, body: unknown, headers: unknown }[] = []
  readonly finished: unknown[] = []
  over = false
  readonly request: FastifyRequest
  readonly reply: FastifyReply

  constructor () {
    const answer = { status: 0, headers: {} }
    const reply = {
      raw: {},
      code: (status: number) => { answer.status = status; return reply },
      headers: (headers: object) => { answer.headers = headers; return reply },
      send: (body: unknown) => { this.over = true; this.sent.push({ ...answer, body }); return reply }
    }
    Object.defineProperty(reply, 'sent', { get: () => this.over })
    this.request = { log: { error: (entry: unknown) => this.logged.push(entry) } } as unknown as FastifyRequest
    this.reply = reply as unknown as FastifyReply
  }

  run (handlers: readonly Handler[], pipeline = new Pipeline()): this {
    run(handlers, 0, this.request, this.reply, pipeline.answer, error => { this.finished.push(error) })
    return this
  }
}

const settle = () => new Promise(resolve => setImmediate(resolve))
const pass: Handler = () => undefined

/** A control that writes its name down, wherever it runs. */
function step (name: string, phase: Control['phase'], trace: string[] = [], hook: 'onRequest' | 'preHandler' = 'onRequest'): Control {
  return {
    name,
    phase,
    compile: () => ({ hook, handler: () => { trace.push(name); return undefined } }),
    posture: () => ({ [name]: true })
  }
}

/** Reads `wrong`, which must not be true. */
const strict: Control<boolean> = {
  name: 'strict',
  phase: 'guard',
  option: routeOption<boolean, boolean>({
    key: 'wrong',
    schema: Type.Boolean(),
    refine (stated = false, { path, problems }) {
      if (stated) problems.add('SECURE_API_OPTION_UNKNOWN', path, 'why', 'fix')
      return stated
    }
  }),
  compile: () => undefined
}

const namesOf = ({ controls }: Pipeline) => controls.map(({ name }) => name)

/** The only route of an application with these controls. */
function chainOf (pipeline: Pipeline) {
  pipeline.declare(declaration())
  const [route] = pipeline.routes
  if (route === undefined) throw new Error('no route')
  return route
}

function codeOf (t: Test, act: () => unknown): string {
  try {
    act()
  } catch (error) {
    if (error instanceof ConfigurationError) return error.code
    throw error
  }
  t.fail('nothing was thrown')
  return ''
}

t.test('requests meet the phases in one order, whatever order the steps came in', t => {
  fc.assert(fc.property(fc.shuffledSubarray([...phases]), order => {
    const trace: string[] = []
    const pipeline = new Pipeline()
    for (const phase of order) pipeline.add(step(phase, phase, trace))
    new Exchange().run(chainOf(pipeline).onRequest)
    const expected = phases.filter(phase => order.includes(phase))
    return JSON.stringify([trace, namesOf(pipeline)]) === JSON.stringify([expected, expected])
  }))
  t.end()
})

t.test('steps of one phase keep the order in which they were added, each in its hook', t => {
  const pipeline = new Pipeline()
  pipeline.add(step('b', 'guard'))
  pipeline.add(step('a', 'guard', [], 'preHandler'))
  pipeline.add(step('c', 'guard'))
  const route = chainOf(pipeline)
  const { names, onRequest, preHandler } = route
  t.strictSame(names, { onRequest: ['b', 'c'], preHandler: ['a'] })
  t.strictSame([onRequest.length, preHandler.length], [2, 1])
  t.ok([names, onRequest, preHandler].every(Object.isFrozen))
  t.strictSame(pipeline.posture(route), { a: true, b: true, c: true })
  t.end()
})

t.test('a step twice is a mistake, and so in an overlapping scope', t => {
  const outer = new Pipeline()
  const inner = new Pipeline(() => [outer])
  outer.add(step('cors', 'cors'))
  t.equal(codeOf(t, () => outer.add(step('cors', 'guard'))), 'SECURE_API_ALREADY_REGISTERED')
  t.equal(codeOf(t, () => inner.add(step('cors', 'cors'))), 'SECURE_API_ALREADY_REGISTERED')
  t.strictSame([namesOf(outer), namesOf(inner)], [['cors'], []])
  t.end()
})

t.test('status asks each part when it is asked', t => {
  const pipeline = new Pipeline()
  let pending = 0
  pipeline.report('audit', () => ({ pending }))
  pending = 3
  t.strictSame(pipeline.status(), { audit: { pending: 3 } })
  t.end()
})

function declaration (config: object = {}, url = '/x'): { url: string, method: string, config: object } {
  return { url, method: 'GET', config }
}

/** As Fastify shows a route to a request: with a `config` of its own. */
function shown ({ url, method, config }: ReturnType<typeof declaration>) {
  return { url, method, config: { ...config, url, method } }
}

const nobody = () => { throw new Error('no mistake') }

t.test('a route counts as it is when the hooks are through, and its chain is found by what Fastify holds', async t => {
  const pipeline = new Pipeline()
  pipeline.add(strict)
  const route = declaration({ wrong: false })
  pipeline.declare(route)
  route.config = { wrong: true, kept: 1 }
  const problems = new Problems()
  await pipeline.compile(problems)
  t.strictSame(problems.list().map(({ code }) => code), ['SECURE_API_OPTION_UNKNOWN'])
  t.strictSame(pipeline.routes.map(({ info }) => ({ ...info.config })), [{ wrong: true, kept: 1 }])
  const held = shown(route)
  t.equal(pipeline.find(held.config), undefined, 'no request has shown it')
  const chain = pipeline.admit(held, nobody)
  t.strictSame(chain.names.onRequest, ['closed'])
  t.equal(pipeline.find(held.config), chain)
  t.equal(new Pipeline().find(held.config), undefined, 'another scope has a mark of its own')
  t.equal(pipeline.routes.length, 1)
})

t.test('a change that Fastify never reads stops the boot', async t => {
  const pipeline = new Pipeline()
  const route = declaration({ scope: 'a' })
  pipeline.declare(route)
  await Promise.resolve()
  route.config = { scope: 'b' }
  const problems = new Problems()
  await pipeline.compile(problems)
  t.strictSame(problems.list().map(({ code }) => code), ['SECURE_API_ROUTE_CONFIG_LATE'])
})

t.test('the mistake of a GET route is told once, not again for the HEAD that Fastify adds', async t => {
  const pipeline = new Pipeline()
  pipeline.add(strict)
  for (const method of ['GET', 'HEAD']) pipeline.declare({ ...declaration({ wrong: true }), method })
  const problems = new Problems()
  await pipeline.compile(problems)
  t.equal(problems.list().length, 1)
})

t.test('misspelt keys are mistakes, and keys of others are left alone', async t => {
  const mistakes = async (config: object) => {
    const pipeline = new Pipeline()
    const keys = ['scope', 'role', 'policy', 'authenticated', 'public', 'rateLimit', 'authorization', 'headers', 'cors']
    pipeline.add({
      name: 's',
      phase: 'guard',
      option: {
        schemas: Object.fromEntries(keys.map(key => [key, Type.Unsafe({})])),
        parse: () => undefined
      },
      compile: () => undefined
    })
    pipeline.declare(declaration(config))
    const problems = new Problems()
    await pipeline.compile(problems)
    return problems.list().map(({ path }) => path)
  }
  const slips = ['scopes', 'Scope', 'scoep', 'socpe', 'scop', 'rolee', 'roles', 'rloe', 'policies', 'polcy', 'Public', 'publc',
    'authenticate', 'autenticated', 'authorisation', 'ratelimit', 'rateLimits', 'helmet', 'cor']
  for (const name of slips) t.strictSame(await mistakes({ [name]: 'x' }), [`route GET /x: config.${name}`])
  t.strictSame(await mistakes({ scope: 'a', roles: 'admin' }), ['route GET /x: config.roles'], 'a rule of which half is lost is no rule')
  t.strictSame(await mistakes({ role: 'a', roles: ['x'] }), [], "beside the right name it is somebody else's")
  for (const name of ['swagger', 'rawBody', 'audit', 'url', 'method', 'publish', 'roleId', 'scopeId', 'auth', 'otel', 'permission',
    '']) t.strictSame(await mistakes({ [name]: ['x'] }), [], name)
})

t.test('steps that came after the route are in its chain, and find its mistakes', async t => {
  const pipeline = new Pipeline()
  pipeline.declare(declaration({ wrong: true }))
  pipeline.add(strict)
  const problems = new Problems()
  await pipeline.compile(problems)
  t.equal(problems.list()[0]?.code, 'SECURE_API_OPTION_UNKNOWN')
})

t.test('an early route is compiled once, at its first request', t => {
  const pipeline = new Pipeline()
  let compiled = 0
  pipeline.add({ name: 's', phase: 'guard', compile: () => { compiled++; return { hook: 'onRequest', handler: pass } } })
  const held = shown(declaration())
  const chain = pipeline.admit(held, nobody)
  t.equal(pipeline.find(held.config), chain)
  t.equal(compiled, 1)
  t.strictSame(pipeline.routes.map(({ info }) => info.early), [true])
  t.strictSame(Object.keys(held.config), ['url', 'method'], 'nothing that an application would see')
  t.end()
})

t.test('a misconfigured early route is closed, whatever is wrong', t => {
  const broken: Control = { name: 'broken', phase: 'cors', compile: () => { throw new Error('hunter2') } }
  for (const wrong of [strict as Control, broken]) {
    const pipeline = new Pipeline()
    pipeline.add(step('headers', 'headers'))
    pipeline.add(wrong)
    let told = 0
    const held = shown(declaration({ wrong: true }))
    const chain = pipeline.admit(held, (_label, problems) => { told += problems.list().length })
    const exchange = new Exchange().run(chain.onRequest)
    t.equal(told, 1)
    t.equal(exchange.sent[0]?.status, 403)
    t.strictSame(exchange.finished, [])
    t.equal(refusalOf(exchange.request)?.reason, 'route-misconfigured')
    t.notMatch(exchange.sent[0]?.body, /hunter2|misconfigured/)
    t.equal(pipeline.find(held.config), chain, 'and stays so, without being compiled for each request')
  }
  t.end()
})

t.test('the most specific pattern is laid under a route, and a rule of its own stands', t => {
  const paths = new PathRules({ '/*': { scope: 'all' }, '/a/*': { role: 'a', rateLimit: 'read' }, '/a/b': { public: true } },
    ['scope', 'role', 'public'], 'routes')
  const under = (url: string, own = {}) => ({ ...paths.under([url], own)?.config })
  t.strictSame(under('/x'), { scope: 'all' })
  t.strictSame(under('/a/c'), { role: 'a', rateLimit: 'read' })
  t.strictSame(under('/a/b'), { public: true })
  t.strictSame(under('/a'), { scope: 'all' }, 'what is below does not hold above')
  t.strictSame(under('/a/c', { scope: 'own', audit: false }), { scope: 'own', audit: false, rateLimit: 'read' })
  t.equal(paths.under(['/a/b'], { scope: 'own' }), undefined)
  t.strictSame(paths.unmatched(['/a/c']), ['/a/b'])
  t.strictSame(paths.unmatched([]), ['/*', '/a/*', '/a/b'])
  t.end()
})

t.test('a request that matches no route has a chain too', async t => {
  const seen: string[] = []
  const pipeline = new Pipeline()
  pipeline.add({
    name: 's',
    phase: 'headers',
    compile: ({ route }) => { seen.push(route.kind); return { hook: 'onRequest', handler: pass } }
  })
  t.equal(pipeline.unknown.onRequest.length, 1)
  t.equal(pipeline.unknown, pipeline.unknown)
  await pipeline.compile(new Problems())
  t.strictSame(seen, ['unknown', 'unknown'])
})

t.test('synchronous handlers do not leave the turn', t => {
  const exchange = new Exchange().run([pass, pass])
  t.strictSame(exchange.finished, [undefined])
  t.strictSame(new Exchange().run([]).finished, [undefined])
  t.end()
})

t.test('the first refusal ends the request: nothing behind it runs', async t => {
  for (const refuse of [() => forbidden, async () => forbidden] satisfies Handler[]) {
    const exchange = new Exchange().run([pass, refuse, () => { throw new Error('reached') }])
    await settle()
    t.strictSame(exchange.sent, [{ status: 403, headers: forbidden.headers, body: forbidden.body }])
    t.strictSame([exchange.finished, exchange.logged], [[], []])
    t.equal(refusalOf(exchange.request), forbidden)
  }
})

t.test('handlers that wait keep the order', async t => {
  const trace: number[] = []
  const handler = (n: number, waits: boolean): Handler => () => { trace.push(n); return waits ? settle().then(() => undefined) : undefined }
  const exchange = new Exchange().run([handler(1, false), handler(2, true), handler(3, false), handler(4, true)])
  t.strictSame([trace, exchange.finished], [[1, 2], []])
  await settle().then(settle).then(settle)
  t.strictSame([trace, exchange.finished], [[1, 2, 3, 4], [undefined]])
})

t.test('a handler that fails refuses: nothing behind it runs and its message stays inside', async t => {
  const failures: Handler[] = [() => { throw new Error('hunter2') }, async () => { throw new Error('hunter2') },
    () => Promise.reject(new Error('hunter2'))]
  for (const fail of failures) {
    const exchange = new Exchange().run([fail, () => { throw new Error('reached') }])
    await settle()
    t.match(exchange.sent, [{ status: 500, body: 'SECURE_API_INTERNAL' }])
    t.notMatch(exchange.sent[0], 'hunter2')
    t.strictSame([exchange.finished.length, exchange.logged.length], [0, 1])
  }
})

t.test('a handler that answered itself ends the request without another answer', async t => {
  const handlers: Handler[] = [() => answered, () => Promise.resolve<typeof answered>(answered)]
  for (const handler of handlers) {
    const exchange = new Exchange().run([handler, () => forbidden])
    await settle()
    t.strictSame([exchange.sent, exchange.finished], [[], []])
  }
})

t.test('what was answered meanwhile is not answered again', async t => {
  for (const outcome of [undefined, forbidden, new Error('late')]) {
    const late: { done?: () => void } = {}
    const exchange = new Exchange().run([() => new Promise<undefined | Refusal>((resolve, reject) => {
      late.done = () => outcome instanceof Error ? reject(outcome) : resolve(outcome)
    }), () => forbidden])
    exchange.over = true
    late.done?.()
    await settle()
    t.strictSame([exchange.sent, exchange.finished], [[], []])
  }
})

t.test('a late refusal that cannot be sent closes the connection, and does not end the process', async t => {
  const exchange = new Exchange()
  let destroyed = 0
  Object.assign(exchange.reply, { raw: { destroy: () => { destroyed++ } }, headers: () => { throw new Error('no header') } })
  exchange.run([async () => forbidden])
  await settle().then(settle)
  t.strictSame([destroyed, exchange.logged.length], [1, 1])
})

t.test('what controls offer each other is said once, and before everything is ready', async t => {
  const pipeline = new Pipeline<FramePorts & { readonly colour?: string }>()
  t.strictSame({ ...pipeline.ports }, {})
  pipeline.offer({ colour: 'red' })
  t.strictSame({ ...pipeline.ports }, { colour: 'red' })
  t.ok(Object.isFrozen(pipeline.ports))
  t.throws(() => pipeline.offer({ colour: 'blue' }), 'offered twice')
  await pipeline.compile(new Problems())
  t.throws(() => pipeline.offer({ answers: 'throw' }), 'before the application is ready')
})

t.test('an option is parsed once for each route, from the value that Fastify finally holds, for all controls that read it', async t => {
  const pipeline = new Pipeline()
  const seen: unknown[] = []
  const option = routeOption<number, number>({ key: 'n', schema: Type.Integer(), refine: (n = 0) => { seen.push(n); return n * 10 } })
  for (const name of ['one', 'two']) {
    pipeline.add({
      name,
      phase: 'guard',
      option,
      compile: ({ own }) => { t.equal(own, seen.at(-1) === 2 ? 20 : 0); return undefined },
      posture: own => ({ [name]: own })
    })
  }
  const route = declaration({ n: 1 })
  pipeline.declare(route)
  route.config = { n: 2 }
  await pipeline.compile(new Problems())
  t.strictSame(pipeline.routes.map(known => pipeline.posture(known)), [{ one: 20, two: 20 }])
  t.strictSame(seen, [2, 0], 'the route, and the one of 404s')
})

t.test('a value that is wrong is told once, counts as not stated, and closes a route that is seen late', async t => {
  const pipeline = new Pipeline()
  const states: unknown[] = []
  const keys = { a: Type.Literal(true), b: Type.Literal(true) }
  pipeline.add({
    name: 'both',
    phase: 'guard',
    option: { schemas: keys, parse: stated => { states.push({ ...stated }) } },
    compile: () => undefined
  })
  pipeline.add({ name: 'one', phase: 'guard', option: { schemas: { a: keys.a }, parse: () => undefined }, compile: () => undefined })
  pipeline.declare(declaration({ a: 'yes', b: true }))
  const problems = new Problems()
  await pipeline.compile(problems)
  t.strictSame(problems.list().map(({ code, path }) => [code, path]), [['SECURE_API_OPTION_VALUE', 'route GET /x: config.a']])
  t.strictSame(states[0], {})
  t.strictSame(pipeline.routes.map(({ names }) => names.onRequest), [['closed']])
})

t.test('errors: throw hands the refusal to the error handler', t => {
  const pipeline = new Pipeline()
  t.equal(pipeline.sendsProblems, true)
  pipeline.offer({ answers: 'throw' })
  t.equal(pipeline.sendsProblems, false)
  const exchange = new Exchange().run([() => forbidden], pipeline)
  const [error] = exchange.finished
  t.ok(error instanceof RefusalError)
  t.match(error, { statusCode: 403, code: 'SECURE_API_FORBIDDEN', headers: forbidden.headers, refusal: forbidden })
  t.equal(refusalOf(exchange.request), forbidden)
  t.match(error, { message: forbidden.detail, see: pageOf('SECURE_API_FORBIDDEN') }, '17.8: Fastify sends the message to the caller')
  t.notOk('see' in new RefusalError(ownRefusal({ code: 'ORDERS_CLOSED', status: 503, detail: 'Back at noon.' })), 'its page is not ours')
  t.strictSame(exchange.sent, [])
  t.end()
})

t.test('16: what somebody puts on Object.prototype is no port and no part of a control', async t => {
  const pipeline = new Pipeline()
  const polluted: Readonly<Record<string, unknown>> = {
    paths: { under: () => ({ config: { public: true }, source: 'x' }), unmatched: () => [] },
    option: { schemas: {}, parse: () => true },
    posture: () => ({ access: 'public' })
  }
  t.teardown(() => { for (const name in polluted) Reflect.deleteProperty(Object.prototype, name) })
  pipeline.add({ name: 'own', phase: 'guard', compile: ({ own }) => { t.equal(own, undefined) } })
  Object.assign(Object.prototype, polluted)
  pipeline.declare({ url: '/x', method: 'GET' })
  const problems = new Problems()
  await pipeline.compile(problems)
  t.notOk(problems.any)
  t.match(pipeline.routes, [{ info: { source: undefined } }])
  t.strictSame(pipeline.routes.map(route => Object.keys(route.info.config)), [[]])
  t.strictSame(pipeline.routes.map(route => Object.entries(pipeline.posture(route))), [[]])
})
