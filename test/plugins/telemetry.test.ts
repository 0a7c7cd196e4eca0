import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { AsyncLocalStorage } from 'node:async_hooks'
import { randomBytes } from 'node:crypto'
import { context, metrics, ROOT_CONTEXT, trace, type Context } from '@opentelemetry/api'
import { AggregationTemporality, InMemoryMetricExporter, MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { createDenylist, secureApi, type SecureApiOptions } from '../../plugins/index.ts'
import { instruments, type PhaseMessage, type RequestMessage } from '../../lib/telemetry/index.ts'
import { createTestIssuer } from '../../testing/index.ts'

const issuer = await createTestIssuer()
t.teardown(() => issuer.close())
const auth = { issuer: issuer.issuer, audience: issuer.audience }
const good = { authorization: `Bearer ${issuer.sign({ sub: 'alice', scope: 'api.read' })}` }

async function start (t: Test, telemetry: SecureApiOptions['telemetry'], more: Partial<SecureApiOptions> = {}) {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(secureApi, {
    auth, environment: 'development', audit: { sink: () => {} }, ...(telemetry !== undefined && { telemetry }), ...more
  })
  app.get('/orders/:id', { config: { scope: 'api.read' } }, async () => ({ ok: true }))
  return app
}

function heard<Message> (t: Test, name: string): Message[] {
  const messages: Message[] = []
  const listener = (message: unknown) => { messages.push(message as Message) }
  subscribe(name, listener)
  t.teardown(() => { unsubscribe(name, listener) })
  return messages
}

interface Point { readonly attributes: Record<string, unknown>, readonly value: unknown }

function reader () {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const periodic = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 1_000_000 })
  const provider = new MeterProvider({ readers: [periodic] })
  return {
    provider,
    async points (name: string): Promise<Point[]> {
      exporter.reset()
      await periodic.forceFlush()
      const all = exporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics))
      return all.filter(({ descriptor }) => descriptor.name === name).flatMap(({ dataPoints }): Point[] => dataPoints)
    }
  }
}

t.test('secure-api:request tells how a request ended, once', async t => {
  for (const more of [{}, { audit: false }, { audit: { sink: () => {} } }] as const) {
    const app = await start(t, {}, more)
    const messages = heard<RequestMessage>(t, 'secure-api:request')
    await app.inject({ url: '/orders/1', headers: good })
    await app.inject('/orders/1')
    await app.inject({ url: '/nowhere?secret=1', headers: good })
    t.strictSame(messages.map(({ outcome, route, reason, credential, status }) => [outcome, route, reason, credential, status]), [
      ['allowed', '/orders/:id', undefined, 'jwt', 200],
      ['denied', '/orders/:id', 'SECURE_API_UNAUTHENTICATED', undefined, 401],
      ['denied', undefined, undefined, undefined, 404]
    ], JSON.stringify(more))
    t.ok(messages.every(({ durationMs }) => durationMs > 0))
    await app.close()
  }
})

t.test('without `telemetry` no control is measured, and the trail alone tells of requests', async t => {
  const app = await start(t, undefined)
  const [phases, requests] = [heard<PhaseMessage>(t, 'secure-api:phase'), heard<RequestMessage>(t, 'secure-api:request')]
  await app.inject({ url: '/orders/1', headers: good })
  t.strictSame(phases, [])
  t.equal(requests.length, 1)
  const quiet = await start(t, undefined, { audit: false })
  await quiet.inject({ url: '/orders/1', headers: good })
  t.equal(requests.length, 1)
})

t.test('secure-api:phase tells what each control took, also one that waits', async t => {
  const app = await start(t, {}, {
    controls: [{
      name: 'own',
      phase: 'guard',
      compile: () => ({
        hook: 'preHandler',
        handler: async () => {
          await new Promise(setImmediate)
          return undefined
        }
      })
    }]
  })
  const phases = heard<PhaseMessage>(t, 'secure-api:phase')
  t.equal((await app.inject({ url: '/orders/1', headers: good })).statusCode, 200)
  const steps = app.secureApi.routes().find(({ url }) => url === '/orders/:id')?.steps
  const controls = [...steps?.onRequest ?? [], ...steps?.preHandler ?? []].filter(name => !name.endsWith(':watch'))
  t.strictSame(phases.map(({ control }) => control).sort(), controls.sort())
  t.ok(phases.every(({ durationMs }) => durationMs >= 0))
})

t.test('metrics: decisions by outcome, route, reason and credential; never a subject or a URL', async t => {
  const { provider, points } = reader()
  const app = await start(t, { metrics: provider })
  await app.inject({ url: '/orders/1?secret=canary', headers: good })
  await app.inject('/orders/1')
  await app.inject({ url: '/canary', headers: good })
  const decisions = await points('secure_api.decisions')
  t.strictSame(decisions.map(({ attributes, value }) => [...Object.values(attributes), value]), [
    ['allowed', '/orders/:id', 'none', 'jwt', 1],
    ['denied', '/orders/:id', 'SECURE_API_UNAUTHENTICATED', 'none', 1],
    ['denied', 'unknown', 'none', 'none', 1]
  ])
  const phases = await points('secure_api.phase.duration')
  t.ok(phases.some(({ attributes }) => attributes['secure_api.phase'] === 'authentication'))
  for (const { name } of instruments) {
    const text = JSON.stringify(await points(name))
    for (const secret of ['canary', 'alice', '127.0.0.1/', good.authorization]) t.notOk(text.includes(secret), `${name}: ${secret}`)
  }
})

t.test('metrics: days until a secret is due, and looks that failed, by the option', async t => {
  const { provider, points } = reader()
  const secret = randomBytes(48).toString('base64')
  const expires = new Date(Date.now() + 10.5 * 86_400_000)
  const vault = { name: 'vault', read: async () => ({ value: secret, expires }) }
  const app = await start(t, { metrics: provider }, {
    auth: { ...auth, ownTokens: { issuer: 'https://api.example.com', audience: 'a', secret: { provider: vault, name: 'signing' } } }
  })
  await app.ready()
  const attributes = { 'secure_api.secret': 'auth.ownTokens.secret' }
  t.match(await points('secure_api.secret.remaining'), [{ attributes, value: 10 }])
  t.match(await points('secure_api.secret.failures'), [{ attributes, value: 0 }])
})

t.test('metrics: gauges come from the status', async t => {
  const { provider, points } = reader()
  const app = await start(t, { metrics: provider })
  await app.inject({ url: '/orders/1', headers: good })
  await app.inject({ url: '/orders/1', headers: good })
  const valuesOf = async (name: string) => (await points(name)).map(({ value }) => value)
  t.strictSame(await valuesOf('secure_api.keys.count'), [app.secureApi.status().issuers].flat().map(ring => Object(ring).keys.length))
  t.equal((await valuesOf('secure_api.keys.age')).length, 1)
  t.equal((await points('secure_api.keys.fetch.duration')).length, 1, 'the first fetch too')
  t.strictSame(await valuesOf('secure_api.tokens.cached'), [1])
  t.strictSame(await valuesOf('secure_api.tokens.cache.lookups'), [1, 1])
  t.strictSame(await valuesOf('secure_api.limit.store.available'), [1])
  t.strictSame(await valuesOf('secure_api.audit.events'), [2, 0])
  t.strictSame(await valuesOf('secure_api.audit.pending'), [0])
  await app.close()
  t.strictSame(await valuesOf('secure_api.tokens.cached'), [1], 'the SDK reports the last value')
})

t.test('metrics: two applications that share a provider are counted once, and the last one to close ends it', async t => {
  const { provider, points } = reader()
  const [one, two] = [await start(t, { metrics: provider }), await start(t, { metrics: provider })]
  const total = async () => (await points('secure_api.decisions')).reduce((sum, { value }) => sum + Number(value), 0)
  await one.inject('/orders/1')
  await two.inject('/orders/1')
  t.equal(await total(), 2)
  await one.close()
  await two.inject('/orders/1')
  t.equal(await total(), 3)
  await two.close()
  const three = await start(t, {})
  await three.inject('/orders/1')
  t.equal(await total(), 3)
})

t.test('metrics: revocations, and names of the application are bounded', async t => {
  const { provider, points } = reader()
  const app = await start(t, { metrics: provider }, {
    controls: [{
      name: 'own',
      phase: 'guard',
      compile: () => ({
        hook: 'onRequest',
        handler: ({ query }) => {
          const { n } = query as { n?: string }
          if (n === undefined) return undefined
          return { code: `OWN_${n}`, status: 418, headers: {}, body: '', detail: '' } as never
        }
      })
    }]
  })
  await createDenylist().revoke({ sub: 'alice', issuer: 'https://i.example.com', until: Date.now() + 60_000 })
  for (let n = 0; n < 150; n++) await app.inject({ url: `/orders/1?n=${n}`, headers: { ...good } })
  const reasons = new Set((await points('secure_api.decisions')).map(({ attributes }) => attributes['secure_api.reason']))
  t.ok(reasons.size <= 102, String(reasons.size))
  t.ok(reasons.has('other'))
  t.strictSame((await points('secure_api.revocations')).map(({ attributes }) => Object.values(attributes)), [['sub', 'recorded']])
})

t.test('a provider that throws costs no request, and its mistake does not end the process', async t => {
  const broken = () => { throw new Error('broken') }
  const addCallback = (callback: (result: { observe: () => never }) => void) => { callback({ observe: broken }) }
  const observable = { addCallback, removeCallback () {} }
  const app = await start(t, {
    metrics: {
      getMeter: () => ({
        createHistogram: () => ({ record: broken }),
        createObservableGauge: () => observable,
        createObservableCounter: () => observable
      })
    }
  })
  t.equal((await app.inject({ url: '/orders/1', headers: good })).statusCode, 200)
  await new Promise(setImmediate)
})

t.test('`metrics: true` is the global provider', async t => {
  const { provider, points } = reader()
  metrics.setGlobalMeterProvider(provider)
  t.teardown(() => metrics.disable())
  const app = await start(t, { metrics: true })
  await app.inject('/orders/1')
  t.equal((await points('secure_api.decisions')).length, 1)
})

t.test('traces: attributes on the active span, and a span for a key fetch under it', async t => {
  const exporter = new InMemorySpanExporter()
  const tracing = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
  const storage = new AsyncLocalStorage<Context>()
  context.setGlobalContextManager({
    active: () => storage.getStore() ?? ROOT_CONTEXT,
    with: (active, fn, self, ...args) => storage.run(active, () => fn.apply(self as never, args)),
    bind: (_context, target) => target,
    enable () { return this },
    disable () { return this }
  })
  trace.setGlobalTracerProvider(tracing)
  t.teardown(() => { trace.disable(); context.disable() })
  const app = await start(t, { traces: true }, { auth: { ...auth, startup: 'lazy' } })
  const under = async (name: string, headers: Record<string, string>) => {
    const span = trace.getTracer('test').startSpan(name)
    await context.with(trace.setSpan(ROOT_CONTEXT, span), async () => await app.inject({ url: '/orders/1', headers }))
    span.end()
    return span.spanContext()
  }
  await app.ready()
  const { spanId } = await under('allowed', good)
  await under('denied', {})
  const spans = exporter.getFinishedSpans()
  const attributesOf = (name: string) => spans.find(span => span.name === name)?.attributes
  t.match(attributesOf('allowed'), { 'secure_api.outcome': 'allowed', 'secure_api.credential': 'jwt', 'secure_api.rule': /api\.read/ })
  t.match(attributesOf('denied'), { 'secure_api.outcome': 'denied', 'secure_api.reason': 'SECURE_API_UNAUTHENTICATED' })
  const fetched = spans.find(({ name }) => name === 'secure_api.keys.fetch')
  t.equal(fetched?.parentSpanContext?.spanId, spanId)
  t.equal(fetched?.attributes['secure_api.issuer'], auth.issuer)
  t.notOk(JSON.stringify(spans.map(({ attributes }) => attributes)).includes('alice'))
})

t.test('wrong options stop the boot', async t => {
  for (const telemetry of [true, { metrics: 'prometheus' }, { metrics: {} }, { traces: {} }, { meter: true }]) {
    const app = Fastify()
    await t.rejects(async () => await app.register(secureApi, { auth, environment: 'development', telemetry: telemetry as never }),
      { errors: [{ path: /^telemetry/ }] }, JSON.stringify(telemetry))
  }
})
