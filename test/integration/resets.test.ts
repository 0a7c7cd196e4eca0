import { connect } from 'node:net'
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import secureApi, { secureServer, type AuditEvent, type SecureApiOptions } from '../../plugins/index.ts'
import type { TestIssuer } from '../../testing/index.ts'
import { startRedis } from '../helpers/redis.ts'
import { bearer, listen, startIssuer, until } from '../helpers/server.ts'

const callers = 40
const permits = 3
const servers: Readonly<Record<string, () => FastifyInstance>> = {
  'any Fastify()': () => Fastify(),
  'secureServer()': () => Fastify(secureServer({ environment: 'development' }))
}

interface Served {
  readonly url: string
  readonly events: AuditEvent[]
  readonly seen: { requests: number, responses: number }
  /** Whether as many callers as there are permits can be in the route at once. */
  readonly allPermitsAreFree: (authorization: string) => Promise<boolean>
}

function counted (app: FastifyInstance): Served['seen'] {
  const seen = { requests: 0, responses: 0 }
  app.addHook('onRequest', async () => { seen.requests++ })
  app.addHook('onResponse', async () => { seen.responses++ })
  return seen
}

/** Whether they run in a bare Fastify: on Node 20 and 22 always, on Node 24 for none of these callers. */
async function runInBareFastify (t: Test): Promise<boolean> {
  const app = Fastify()
  t.teardown(() => app.close())
  const seen = counted(app)
  app.get('/orders', async () => 'x'.repeat(1000))
  const url = await listen(app)
  for (let count = 0; count < callers; count++) await reset(url, 'none', 0)
  await until(() => seen.requests > callers / 2, 'requests')
  // What they have sent is read, and what was written to them has failed, while later callers are answered.
  for (let count = 0; count < callers; count++) {
    await fetch(`${url}/orders`).then(response => response.text())
    if (seen.responses === seen.requests) return true
  }
  return false
}

async function serve (t: Test, app: FastifyInstance, issuer: TestIssuer, rateLimit: SecureApiOptions['rateLimit'] = {}): Promise<Served> {
  t.teardown(() => app.close())
  const events: AuditEvent[] = []
  await app.register(secureApi, {
    auth: { issuer: issuer.issuer, audience: issuer.audience, keys: { cooldown: '100 milliseconds' } },
    rateLimit: { ...rateLimit, perAddress: false, failures: false },
    audit: { sink: event => { events.push(event) } },
    environment: 'development'
  })
  const seen = counted(app)
  const meeting = createMeeting()
  app.get('/orders', { config: { scope: 'a', rateLimit: { limit: permits, algorithm: 'concurrency' } } }, async ({ query }) => {
    if ((query as { wait?: string }).wait !== undefined) await meeting.wait()
    return 'x'.repeat(1000)
  })
  const url = await listen(app)
  const allPermitsAreFree = async (authorization: string): Promise<boolean> => {
    const answers = Array.from({ length: permits }, async () => {
      const answer = await fetch(`${url}/orders?wait`, { headers: { authorization } })
      // Whoever is refused never comes to the meeting, so the others go.
      if (answer.status !== 200) meeting.end()
      return answer.status
    })
    const statuses = await Promise.all(answers)
    meeting.begin()
    return statuses.every(status => status === 200)
  }
  return { url, events, seen, allPermitsAreFree }
}

/** Ends when as many have come as there are permits, or when it is told to. */
function createMeeting (): { wait: () => Promise<void>, begin: () => void, end: () => void } {
  let waiting: Array<() => void> = []
  let ended = false
  const end = (): void => {
    ended = true
    for (const go of waiting) go()
    waiting = []
  }
  return {
    wait: async () => await new Promise<void>(resolve => {
      waiting.push(resolve)
      if (ended || waiting.length === permits) end()
    }),
    begin: () => { ended = false },
    end
  }
}

/** Sends a request whole, and resets the connection, at once or some milliseconds later. */
async function reset (url: string, authorization: string, after: number): Promise<void> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname).on('error', () => {})
  await once(socket, 'connect')
  await new Promise(resolve => { socket.write(`GET /orders HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization}\r\n\r\n`, resolve) })
  if (after > 0) await setTimeout(after)
  socket.resetAndDestroy()
}

for (const [name, start] of Object.entries(servers)) {
  t.test(`21: hooks at the end of a request run for callers who reset their connection, as in a bare Fastify: ${name}`, async t => {
    const isUsual = await runInBareFastify(t)
    const issuer = await startIssuer(t)
    const { url, events, seen } = await serve(t, start(), issuer)
    const { authorization } = bearer(issuer, { scope: 'a' })
    await fetch(`${url}/orders`, { headers: { authorization } }).then(response => response.text())
    // One after the other: an answer that is written in the turn of its request.
    for (let count = 0; count < callers; count++) await reset(url, authorization, 0)
    await until(() => events.length > callers / 2 && events.length === seen.requests, 'an event for each request')
    t.equal(isUsual, Number(process.versions.node.split('.')[0]) < 24)
    if (isUsual) await until(() => seen.responses === seen.requests, 'the hooks of each')
    t.equal(new Set(events.map(({ requestId }) => requestId)).size, events.length, 'one event each')
  })

  t.test(`21: callers who leave while Redis and the provider are away leave nothing behind: ${name}`, async t => {
    const [issuer, redis] = [await startIssuer(t), await startRedis()]
    t.teardown(() => redis.close())
    const { url, events, seen, allPermitsAreFree } = await serve(t, start(), issuer, { redis: redis.url })
    const known = bearer(issuer, { scope: 'a' }).authorization
    t.equal((await fetch(`${url}/orders`, { headers: { authorization: known } })).status, 200)
    redis.freeze()
    issuer.down()
    issuer.rotate()
    const unknown = bearer(issuer, { scope: 'a' }).authorization
    await Promise.all(Array.from({ length: callers }, (_, count) => reset(url, count % 2 === 0 ? known : unknown, count * 2)))
    // A hook of the application sees only those whom the suite lets through.
    await until(() => events.length > callers / 2 && events.length >= seen.requests, 'an event for each request')
    t.equal(new Set(events.map(({ requestId }) => requestId)).size, events.length, 'one event each')
    // Whoever waited for Redis when he left takes a permit later than his event, and gives it back in the same turn.
    await until(async () => await allPermitsAreFree(known), 'every permit')
    redis.thaw()
    issuer.up()
    await until(async () => (await fetch(`${url}/orders`, { headers: { authorization: unknown } })).status === 200, 'the provider')
    await until(async () => await allPermitsAreFree(known), 'every permit, after the outage')
  })
}
