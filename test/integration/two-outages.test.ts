import { once } from 'node:events'
import { Agent, get, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import secureApi from '../../plugins/index.ts'
import type { TestIssuer } from '../../testing/index.ts'
import { startRedis, type TestRedis } from '../helpers/redis.ts'
import { bearer, codeOf, listen, startFastify, startIssuer, until } from '../helpers/server.ts'

const agent = new Agent({ keepAlive: true, maxSockets: 10 })
t.teardown(() => { agent.destroy() })

interface Answered { readonly answer: unknown, readonly retryAfter: string | undefined }

/** Status, and the code of a refusal. */
async function ask (url: string, headers: Record<string, string> = {}): Promise<Answered> {
  const [response] = await once(get(url, { headers, agent }), 'response') as [IncomingMessage]
  const code = codeOf({ headers: response.headers, body: await text(response) })
  const { statusCode, headers: { 'retry-after': retryAfter } } = response
  return { answer: code === undefined ? statusCode : [statusCode, code], retryAfter }
}

async function serve (t: Test, issuer: TestIssuer, redis: TestRedis): Promise<{ app: FastifyInstance, url: string }> {
  const app = startFastify(t)
  await app.register(secureApi, {
    auth: { issuer: issuer.issuer, audience: issuer.audience, keys: { refresh: '2 seconds', cooldown: '100 milliseconds' } },
    rateLimit: { redis: redis.url, policies: { read: { limit: 60, window: '10 minutes' } } },
    audit: false,
    environment: 'development'
  })
  app.get('/orders', { config: { scope: 'a' } }, async () => '')
  app.get('/public', { config: { public: true } }, async () => '')
  return { app, url: await listen(app) }
}

const unknownKey = [401, 'SECURE_API_TOKEN_KEY']
const noKeys = [503, 'SECURE_API_KEYS_UNAVAILABLE']
const limited = [429, 'SECURE_API_RATE_LIMITED']

for (const how of ['freeze', 'kill'] as const) {
  t.test(`Redis and the provider are gone at the same moment (${how})`, async t => {
    const [issuer, redis] = [await startIssuer(t), await startRedis()]
    t.teardown(() => redis.close())
    const { app, url } = await serve(t, issuer, redis)
    const known = bearer(issuer, { sub: 'alice', scope: 'a' })
    const started: Answered[] = []
    for (let count = 0; count < 20; count++) started.push(await ask(`${url}/orders`, known))
    t.strictSame(new Set(started.map(({ answer }) => answer)), new Set([200]))

    await redis[how]()
    issuer.down()
    issuer.rotate()
    const fresh = bearer(issuer, { sub: 'carol', scope: 'a' })
    const during: Answered[] = []
    for (let count = 0; count < 40; count++) during.push(await ask(`${url}/orders`, known))
    t.strictSame(new Set(during.map(({ answer }) => answer)), new Set([200]), 'a token that was seen before')
    t.strictSame((await ask(`${url}/orders`, known)).answer, limited, 'counted here, on top of what Redis had counted')
    const others = [
      await ask(`${url}/orders`, { authorization: `Bearer ${issuer.sign({ sub: 'bob', scope: 'a' }, { kid: 'key-1' })}` }),
      await ask(`${url}/orders`, fresh), await ask(`${url}/orders`), await ask(`${url}/public`), await ask(`${url}/nowhere`)
    ]
    t.strictSame(others.map(({ answer }) => answer),
      [200, unknownKey, [401, 'SECURE_API_UNAUTHENTICATED'], 200, [404, 'SECURE_API_NOT_FOUND']],
      'a new token of a known key; one of a key that cannot be fetched; none; and what needs none')
    t.match(app.secureApi.status(), { rateLimit: { state: 'unavailable' } })

    const second = await serve(t, issuer, redis)
    const late = [await ask(`${second.url}/orders`, known), await ask(`${second.url}/orders`, fresh), await ask(`${second.url}/public`)]
    t.strictSame(late.map(({ answer }) => answer), [noKeys, noKeys, 200], 'a server that starts now has no keys, and lets nobody in')
    t.match(late[0]?.retryAfter, /^[1-9]\d*$/)

    issuer.up()
    if (how === 'freeze') redis.thaw()
    else await redis.restart()
    await until(async () => (await ask(`${url}/orders`, fresh)).answer === 200, 'the new key')
    await until(async () => (await ask(`${second.url}/orders`, fresh)).answer === 200, 'the keys of the second server')
    await until(async () => {
      await ask(`${url}/nowhere`)
      return JSON.stringify(app.secureApi.status()['rateLimit']).includes('"state":"available"')
    }, 'Redis')
  })
}
