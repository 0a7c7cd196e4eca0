import t from 'tap'
import { minimal } from '../examples/minimal.ts'
import { ordersApi } from '../examples/own-control/app.ts'
import { call } from '../examples/orders/demo/call.ts'
import { cases } from '../examples/orders/demo/cases.ts'
import { World } from '../examples/orders/demo/world.ts'
import { startProvider } from '../examples/orders/provider.ts'
import { until } from './helpers/server.ts'

const audience = 'api://orders'

t.test('the ten-line app: tokens of a real provider, rules and headers, nothing else configured', async t => {
  t.context.environment = process.env['NODE_ENV']
  process.env['NODE_ENV'] = 'development'
  t.teardown(() => { process.env['NODE_ENV'] = t.context.environment ?? '' })
  const provider = await startProvider({ audience })
  t.teardown(() => provider.close())
  const app = await minimal(provider.issuer, audience)
  t.teardown(() => app.close())
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const bearer = async (scope: string) => ({ authorization: `Bearer ${await provider.token({ scope })}` })
  const status = async (path: string, init?: RequestInit) => (await fetch(url + path, init)).status

  t.equal(await status('/health'), 200)
  t.equal(await status('/orders'), 401)
  t.equal(await status('/orders', { headers: await bearer('api.read') }), 200)
  t.equal(await status('/orders', { method: 'POST', headers: await bearer('api.read') }), 403)
  t.equal(await status('/orders', { method: 'POST', headers: await bearer('api.write') }), 201)
  t.equal(await status('/nowhere', { headers: await bearer('api.read') }), 404)
})

t.test('the orders API answers every case of the demo as expected', async t => {
  const world = await World.start()
  t.teardown(() => world.stop())
  for (const example of cases) {
    await example.before?.run(world)
    const { differences } = await call(world, example)
    t.strictSame(differences, [], example.title)
  }
})

t.test('the provider signs with ES256 when asked to', async t => {
  const provider = await startProvider({ audience, algorithm: 'ES256' })
  t.teardown(() => provider.close())
  const [header = '', claims = ''] = (await provider.token({ scope: 'api.read', user: 'grace' })).split('.')
  t.match(JSON.parse(Buffer.from(header, 'base64url').toString()), { typ: 'at+jwt', alg: 'ES256', kid: 'es256-1' })
  t.match(JSON.parse(Buffer.from(claims, 'base64url').toString()),
    { iss: provider.issuer, aud: audience, sub: 'grace', client_id: 'orders-web', scope: 'api.read', roles: ['admin'] })
})

t.test('the provider publishes old keys after a rotation only if told to', async t => {
  const provider = await startProvider({ audience })
  t.teardown(() => provider.close())
  const kids = async () => (await provider.jwks()).keys.map(key => key['kid'])
  await provider.rotate()
  t.strictSame(await kids(), ['rs256-2', 'es256-2', 'rs256-1', 'es256-1'])
  await provider.rotate({ keepOld: false })
  t.strictSame(await kids(), ['rs256-3', 'es256-3'])
})

t.test('the provider signs in nobody it does not know', async t => {
  const provider = await startProvider({ audience })
  t.teardown(() => provider.close())
  await t.rejects(provider.token({ scope: 'api.read', user: 'mallory' }))
})

t.test('a control of the application: its route option, its refusal, its posture, and its reason in the trail', async t => {
  const provider = await startProvider({ audience })
  t.teardown(() => provider.close())
  const events: { readonly action: string, readonly status: number, readonly reason?: string }[] = []
  const { app, maintenance } = await ordersApi({
    issuer: provider.issuer,
    audience,
    environment: 'development',
    sink: event => { events.push(event) }
  })
  t.teardown(() => app.close())
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const headers = { authorization: `Bearer ${await provider.token({ scope: 'api.read' })}` }
  const orders = () => fetch(`${url}/orders`, { headers })

  t.equal((await orders()).status, 200)
  maintenance.begin()
  const refused = await orders()
  t.equal(refused.status, 503)
  t.equal(refused.headers.get('retry-after'), '600')
  t.equal(refused.headers.get('content-type'), 'application/problem+json; charset=utf-8')
  t.equal(refused.headers.get('x-content-type-options'), 'nosniff')
  t.match(await refused.json(), { code: 'ORDERS_MAINTENANCE', title: 'Service Unavailable', detail: 'The API is being maintained.' })
  t.equal((await fetch(`${url}/health`)).status, 200)
  maintenance.end()
  t.equal((await orders()).status, 200)

  // An event is written when its answer has left, which the caller may have read before.
  await until(() => events.length >= 4, 'the trail')
  t.match(events, [{ status: 200 }, { status: 503, reason: 'ORDERS_MAINTENANCE', action: 'GET /orders' }, { status: 200 }, { status: 200 }])
  const posture = new Map(app.secureApi.routes().map(route => [`${String(route.methods)} ${route.url}`, route]))
  t.match(posture.get('GET /orders'), { maintenance: true, access: { scope: 'api.read' } })
  t.match(posture.get('GET /health'), { maintenance: false, access: 'public' })
  t.strictSame(posture.get('GET /orders')?.steps.onRequest.includes('maintenance'), true)
})
