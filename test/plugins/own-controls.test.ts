import { Type, type TSchema } from '@sinclair/typebox'
import Fastify, { type FastifyReply } from 'fastify'
import t from 'tap'
import secureApi, { ConfigurationError, ownRefusal, routeOption, type Control } from '../../plugins/index.ts'
import { bearer, secured, startFastify, startIssuer } from '../helpers/server.ts'
import type { RouteInfo } from '../../lib/pipeline/index.ts'

const closed = ownRefusal({ code: 'SHOP_CLOSED', status: 503, detail: 'Closed.' })

/** Closes routes that say `shop: 'closed'`. */
const shop: Control<boolean> = {
  name: 'shop',
  phase: 'guard',
  option: routeOption<string, boolean>({
    key: 'shop',
    schema: Type.Union([Type.Literal('open'), Type.Literal('closed')]),
    refine: stated => stated === 'closed'
  }),
  compile: ({ own }) => own ? { hook: 'preHandler', handler: () => closed } : undefined
}

async function appWith (controls: readonly unknown[], config: object = {}) {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(secureApi, { auth: false, audit: false, controls: controls as Control[] })
  app.get('/x', { config: { public: true, ...config } }, async () => 'x')
  return app
}

async function mistakesOf (start: () => Promise<unknown>): Promise<string[]> {
  try {
    await start()
  } catch (error) {
    if (error instanceof ConfigurationError) return error.errors.map(({ code, path }) => `${code} ${path}`)
    throw error
  }
  return []
}

t.test('a control of the application guards by its own route option', async t => {
  t.equal((await (await appWith([shop])).inject('/x')).statusCode, 200)
  const refused = await (await appWith([shop], { shop: 'closed' })).inject('/x')
  t.equal(refused.statusCode, 503)
  t.match(refused.json(), { code: 'SHOP_CLOSED', status: 503, detail: 'Closed.' })
  t.match(refused.headers, { 'cache-control': /no-store/, 'x-content-type-options': 'nosniff' })
})

t.test('17.3: its key may be one that Fastify reads of a route; one that stands beside `config` stops the boot', async t => {
  const named = (key: string): Control => ({
    ...shop, option: routeOption<string, boolean>({ key, schema: Type.String(), refine: () => false })
  })
  for (const key of ['path', 'prefix', 'handler']) await (await appWith([named(key)])).ready()
  const app = await appWith([shop])
  app.get('/beside', { config: { public: true }, shop: 'closed' } as object, async () => '')
  t.strictSame(await mistakesOf(async () => await app.ready()), ['SECURE_API_OPTION_UNKNOWN route GET /beside: shop'])
})

t.test('its option is checked as those of the suite are: wrong values and slips stop the boot', async t => {
  const ready = async (config: object) => await (await appWith([shop], config)).ready()
  t.strictSame(await mistakesOf(() => ready({ shop: 'ajar' })), ['SECURE_API_OPTION_VALUE route GET /x: config.shop'])
  t.strictSame(await mistakesOf(() => ready({ shops: 'open' })), ['SECURE_API_OPTION_UNKNOWN route GET /x: config.shops'])
})

t.test('a control that is none, or that takes what is the suite\'s, stops the boot', async t => {
  const mistakes = (...controls: unknown[]) => mistakesOf(() => appWith(controls))
  t.strictSame(await mistakes({ ...shop, phase: 'edge' }), ['SECURE_API_OPTION_VALUE controls[0].phase'])
  t.strictSame(await mistakes({ ...shop, phase: 'audit' }), ['SECURE_API_OPTION_VALUE controls[0].phase'])
  t.strictSame(await mistakes({ ...shop, name: '' }), ['SECURE_API_OPTION_EMPTY controls[0].name'])
  t.strictSame(await mistakes({ ...shop, compile: 'x' }), ['SECURE_API_OPTION_TYPE controls[0].compile'])
  t.strictSame(await mistakes({ ...shop, before: true }), ['SECURE_API_OPTION_UNKNOWN controls[0].before'])
  t.strictSame(await mistakes({ ...shop, name: 'headers' }), ['SECURE_API_ALREADY_REGISTERED headers'])
  t.strictSame(await mistakes(shop, shop), ['SECURE_API_ALREADY_REGISTERED shop'])
  const greedy = { ...shop, option: routeOption({ key: 'rateLimit', schema: Type.Any(), refine: () => undefined }) }
  t.strictSame(await mistakes(greedy), ['SECURE_API_OPTION_CONFLICT controls[0].option'])
})

const step = (handler: unknown, hook = 'onRequest', phase = 'guard') => ({ name: 'own', phase, compile: () => ({ hook, handler }) })

t.test('a control whose compile yields nothing that runs stops the boot instead of guarding nothing', async t => {
  const useless: Readonly<Record<string, () => unknown>> = {
    'a promise': async () => ({ hook: 'onRequest', handler: () => closed }),
    'a misspelt hook': () => ({ hook: 'prehandler', handler: () => closed }),
    'no hook': () => ({ handler: () => closed }),
    'no handler': () => ({ hook: 'onRequest' }),
    'the handler itself': () => () => closed,
    'a refusal': () => closed,
    null: () => null,
    'a list': () => [{ hook: 'onRequest', handler: () => closed }],
    'the hook of the trail, before any header': () => ({ hook: 'begin', handler: () => closed }),
    'an exception': () => { throw new Error('boom') }
  }
  for (const [name, compile] of Object.entries(useless)) {
    const mistakes = await mistakesOf(async () => await (await appWith([{ name: 'own', phase: 'guard', compile }])).ready())
    t.ok(mistakes.includes('SECURE_API_CONTROL_STEP control own: route GET /x'), name)
  }
})

t.test('a handler that returns anything but a refusal answers 500, at once or later, and never lets anybody through', async t => {
  const odd = [true, false, 0, 'no', null, {}, new Error('x'), Symbol('x'), () => closed, { then () {} },
    { ...closed, status: 200 }, { ...closed, body: {} }]
  for (const value of odd) {
    for (const handler of [() => value, ...(typeof value === 'object' && value !== null && 'then' in value ? [] : [async () => value])]) {
      for (const hook of ['onRequest', 'preHandler']) {
        const answer = await (await appWith([step(handler, hook)])).inject('/x')
        t.equal(answer.statusCode, 500, `${String(value)} ${hook}`)
        t.match(answer.headers, { 'x-content-type-options': 'nosniff' })
      }
    }
  }
})

t.test('the reply that a handler has sent, and returns, is left alone', async t => {
  const sends = (_request: unknown, reply: FastifyReply) => reply.code(418).send('tea')
  for (const handler of [sends, async (request: unknown, reply: FastifyReply) => sends(request, reply)]) {
    const answer = await (await appWith([step(handler)])).inject('/x')
    t.strictSame([answer.statusCode, answer.body], [418, 'tea'])
  }
})

t.test('a control that fails on a route from before the suite closes it: headers of a refusal, and a posture to read', async t => {
  const late: Readonly<Record<string, object>> = {
    compile: { compile ({ route }: { route: RouteInfo }) { if (route.early) throw new Error('boom') } },
    refine: {
      option: routeOption({ key: 'own', schema: Type.Any(), refine (_value, { route }) { if (route.early) throw new Error('boom') } }),
      compile: () => undefined,
      posture: ({ x }: { x: unknown }) => ({ x })
    }
  }
  for (const [name, control] of Object.entries(late)) {
    const app = startFastify(t)
    app.get('/early', { config: { public: true } }, async () => 'open')
    await app.register(secureApi, { auth: false, audit: false, controls: [{ name: 'own', phase: 'headers', ...control } as Control] })
    const answer = await app.inject('/early')
    t.equal(answer.statusCode, 403, name)
    t.match(answer.headers, { 'x-content-type-options': 'nosniff', ratelimit: /./ }, name)
    t.match(app.secureApi.routes(), [{ url: '/early', headers: 'default' }], name)
  }
})

t.test('no control changes what another one reads of a route', async t => {
  const issuer = await startIssuer(t)
  const { app } = await secured(t, issuer, {
    suite: {
      controls: [{
        name: 'own',
        phase: 'headers',
        option: routeOption({
          key: 'own',
          schema: Type.Any(),
          refine: (_value, { route: { config } }) => [Reflect.set(config, 'public', true), Reflect.deleteProperty(config, 'scope'),
            Array.isArray(config['tags']), Reflect.set(Object(config['scope']), 'any', ['api.read'])]
        }),
        compile: () => undefined
      }]
    },
    routes: app => { app.get('/x', { config: { scope: { all: ['admin'] } } }, async () => 'x') }
  })
  t.equal((await app.inject('/x')).statusCode, 401)
  t.equal((await app.inject({ url: '/x', headers: bearer(issuer, { scope: 'api.read' }) })).statusCode, 403)
})

t.test('an instance of a class with private members is a control', async t => {
  class Gate implements Control {
    readonly #answer = closed
    get name () { return 'gate' }
    get phase () { return 'guard' as const }
    compile () { return { hook: 'onRequest' as const, handler: () => this.#answer } }
    posture () { return { gate: this.#answer.code } }
  }
  const gate = new Gate()
  for (const app of [await appWith([gate]), await appWith([gate])]) {
    t.equal((await app.inject('/x')).statusCode, 503)
    t.match(app.secureApi.routes(), [{ gate: 'SHOP_CLOSED' }, {}])
  }
})

t.test('an option that is none, that another control has, or that Fastify writes itself stops the boot', async t => {
  const mistakes = (...options: unknown[]) =>
    mistakesOf(() => appWith(options.map((option, index) => ({ ...shop, name: `own-${index}`, option }))))
  for (const option of [null, {}, 'shop', Type.Boolean(), { schemas: null, parse: () => true }, { schemas: {} }]) {
    t.strictSame(await mistakes(option), ['SECURE_API_OPTION_TYPE controls[0].option'])
  }
  const of = (key: string) => routeOption({ key, schema: Type.Any(), refine: value => value })
  t.strictSame(await mistakes(of('shop'), of('shop')), ['SECURE_API_OPTION_CONFLICT controls[1].option'])
  for (const key of ['url', 'method', '__proto__', 'public']) {
    t.strictSame(await mistakes(of(key)), ['SECURE_API_OPTION_CONFLICT controls[0].option'], key)
  }
  const shared = of('shop')
  t.strictSame(await mistakes(shared, shared, of('constructor')), [])
})

t.test('a schema with a keyword that is not checked stops the boot, on whatever routes it is stated', async t => {
  const unkept: Readonly<Record<string, unknown>> = {
    minLength: Type.String({ minLength: 5 }),
    maxLength: Type.String({ maxLength: 2 }),
    maxItems: Type.Array(Type.String(), { maxItems: 1 }),
    format: Type.String({ format: 'uri' }),
    unique: Type.Array(Type.String(), { uniqueItems: true }),
    exclusive: Type.Number({ exclusiveMinimum: 5 }),
    multiple: Type.Integer({ multipleOf: 5 }),
    tuple: Type.Tuple([Type.String()]),
    nullable: Type.Null(),
    not: Type.Not(Type.String()),
    record: Type.Record(Type.String({ pattern: '^[a-z]+$' }), Type.Number()),
    all: Type.Intersect([Type.Object({}), Type.Object({})]),
    open: Type.Object({}, { additionalProperties: true }),
    properties: Type.Object({}, { minProperties: 1 }),
    enum: { enum: ['a'] },
    oneOf: { oneOf: [{ const: 'a' }] },
    if: { if: {}, then: {} },
    types: { type: ['string', 'null'] },
    none: null,
    number: 5,
    nested: Type.Union([Type.Boolean(), Type.Object({ a: Type.Array(Type.String({ maxLength: 2 })) })])
  }
  const option = (schema: unknown) => ({ ...shop, option: routeOption({ key: 'shop', schema: schema as TSchema, refine: value => value }) })
  for (const [name, schema] of Object.entries(unkept)) {
    t.strictSame(await mistakesOf(() => appWith([option(schema)])), ['SECURE_API_OPTION_VALUE controls[0].option'], name)
  }
  const nested = Type.Object({ b: Type.Optional(Type.Array(Type.Number(), { minItems: 1 })) }, { additionalProperties: false })
  const kept = [
    Type.Any(),
    Type.Boolean({ description: 'x' }),
    Type.Integer({ minimum: 1, maximum: 2 }),
    Type.Record(Type.String(), Type.String({ pattern: '^a' })),
    Type.Union([Type.Literal('a'), nested])
  ]
  for (const schema of kept) t.strictSame(await mistakesOf(() => appWith([option(schema)])), [])
})

t.test('an option that is parsed by a promise, or by an exception, stops the boot', async t => {
  for (const refine of [async () => true, () => { throw new Error('boom') }]) {
    const control = { ...shop, option: routeOption({ key: 'shop', schema: Type.Boolean(), refine }) }
    const mistakes = await mistakesOf(async () => await (await appWith([control])).ready())
    t.ok(mistakes.includes('SECURE_API_OPTION_VALUE route GET /x: config.shop'))
  }
  const prepare = async () => { throw new Error('boom') }
  const unprepared = { ...shop, option: routeOption({ key: 'shop', schema: Type.Boolean(), prepare, refine: () => true }) }
  const mistakes = await mistakesOf(async () => await (await appWith([unprepared])).ready())
  t.strictSame(mistakes, ['SECURE_API_OPTION_VALUE config.shop'])
})

t.test('a refusal of one\'s own has a code of one\'s own, and refuses', t => {
  t.throws(() => ownRefusal({ code: 'SECURE_API_FORBIDDEN', status: 403, detail: 'x' }), TypeError)
  t.throws(() => ownRefusal({ code: 'closed', status: 503, detail: 'x' }), TypeError)
  const sound = { code: 'SHOP_CLOSED', status: 503, detail: 'x' }
  for (const status of [200, 302, 399, 600, 503.5, NaN, '503']) {
    t.throws(() => ownRefusal({ ...sound, status: status as number }), TypeError)
  }
  for (const detail of ['', ' ', undefined]) t.throws(() => ownRefusal({ ...sound, detail: detail as string }), TypeError)
  const headers: readonly object[] = [
    { 'x-a': 'a\r\nb: c' }, { 'bad name': 'x' }, { 'x-a': 'ü€' }, { 'x-a': 5 }, { 'x-a': undefined }, { Connection: 'close' },
    { 'content-length': '0' }, { Date: 'now' }, { 'transfer-encoding': 'chunked' }, { 'Content-Type': 'text/html' },
    { 'Cache-Control': 'public' }
  ]
  for (const given of headers) {
    t.throws(() => ownRefusal({ ...sound, headers: given as Record<string, string> }), TypeError,
      JSON.stringify(given))
  }
  t.match(ownRefusal({ ...sound, headers: { 'Retry-After': '5' } }).headers, { 'retry-after': '5', 'cache-control': 'no-store' })
  t.end()
})

t.test('the posture of a control says nothing of what the suite does', async t => {
  const posture = () => ({ access: 'closed', rateLimit: false, own: 1 })
  const boastful: Control = { name: 'boastful', phase: 'guard', compile: () => undefined, posture }
  const app = await appWith([boastful])
  await app.ready()
  const [route] = app.secureApi.routes()
  t.match(route, { access: undefined, own: 1, rateLimit: [{ policy: 'read' }] })
})
