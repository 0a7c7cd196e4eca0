import { connect, createServer } from 'node:net'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { createDenylist } from '../../plugins/index.ts'
import { startRedis } from '../helpers/redis.ts'
import { reaches } from '../helpers/redis-sentinel.ts'
import { Rehearsal } from '../helpers/rehearsal.ts'
import { bearer, codeOf, listenBare, startIssuer, until } from '../helpers/server.ts'

const routes = (app: FastifyInstance) => {
  for (const url of ['/orders', '/other']) app.get(url, { config: { authenticated: true } }, async () => [])
  app.get('/exports', { config: { authenticated: true, rateLimit: 'strict' } }, async () => [])
}

/** An address that leads to a port, which may change. */
async function startAddress (t: Test, port: number) {
  let target = port
  const open = new Set<Socket>()
  const server = createServer(socket => {
    const upstream = connect(target, '127.0.0.1')
    for (const one of [socket, upstream]) {
      open.add(one)
      one.on('error', () => {}).on('close', () => { socket.destroy(); upstream.destroy() })
    }
    socket.pipe(upstream).pipe(socket)
  })
  return {
    port: await listenBare(t, server),
    leadTo (other: number) {
      target = other
      for (const socket of open) socket.destroy()
      open.clear()
    }
  }
}

async function start (t: Test, port: number) {
  const issuer = await startIssuer(t)
  const names: Record<string, string> = {}
  const rehearsal = new Rehearsal(t, 'redis-loss', names)
  const url = `redis://127.0.0.1:${port}`
  const client = new Redis(url, { enableOfflineQueue: false, maxRetriesPerRequest: 0, retryStrategy: () => 50 }).on('error', () => {})
  t.teardown(() => { client.disconnect() })
  await until(() => client.status === 'ready', 'the connection')
  const denylist = createDenylist({ redis: client })
  const policies = {
    read: { limit: 100, window: '10 minutes' },
    strict: { limit: 100, window: '10 minutes', onStoreFailure: 'deny' }
  } as const
  const perAddress = { limit: 100_000, window: '10 minutes' } as const
  const limited = await rehearsal.start({ auth: issuer.auth, rateLimit: { redis: url, policies, perAddress }, health: {} }, { routes })
  const guarded = await rehearsal.start({ auth: { ...issuer.auth, isRevoked: denylist.isRevoked }, rateLimit: { policies } }, { routes })
  const ask = async (app: FastifyInstance, sub: string, url = '/orders') =>
    await app.inject({ url, headers: bearer(issuer, { sub, scope: 'a' }) })
  const many = async (sub: string, count: number) => {
    const answers = []
    for (let turn = 0; turn < count; turn++) answers.push((await ask(limited.app, sub)).statusCode)
    return answers
  }
  const fallbacks = async () => (await limited.metric('secure_api.limit.decisions', { 'secure_api.source': 'fallback' }))
    .reduce((sum, count) => sum + count, 0)
  /**
   * The answers to the first of these callers who got the right ones. On a busy machine Redis may be late for a request, which may
   * count twice then; where it decided every time, there is nobody else to ask.
   */
  const counted = async (subs: readonly string[], count: number, right: (answers: readonly number[]) => boolean) => {
    for (const sub of subs) {
      const [before, answers] = [await fallbacks(), await many(sub, count)]
      if (right(answers) || await fallbacks() === before) return { sub, answers }
    }
    throw new Error(`Redis was late for each of ${subs.join(', ')}`)
  }
  /** Decisions by Redis, as often as they can be had: the breaker asks again on its own times, and may open once more on a busy machine. */
  const restored = async () => await until(async () => {
    await ask(limited.app, 'nobody')
    const { state } = Object(limited.app.secureApi.status()['rateLimit'])
    return state === 'available' && limited.lines.some(({ type }) => type === 'store-restored')
  }, 'Redis')
  return { issuer, rehearsal, names, url, denylist, limited, guarded, ask, many, counted, restored }
}

type Begun = Awaited<ReturnType<typeof start>>

const atLimit = ['alice', 'albert', 'anna', 'alma']
const below = ['bob', 'berta', 'boris', 'bella']
const goodOf = (answers: readonly number[]) => answers.filter(status => status === 200).length
const isFull = (answers: readonly number[]) => goodOf(answers) === answers.length - 1 && answers.at(-1) === 429

async function seeTheSigns ({ rehearsal, limited, guarded, ask, many }: Begun) {
  await until(async () => {
    await Promise.all(Array.from({ length: 5 }, () => many('carol', 1)))
    return limited.lines.some(({ type }) => type === 'store-unavailable')
  }, 'the breaker')
  await rehearsal.see('Signs', async at => {
    const [here, there] = [at(limited), at(guarded)]
    here.log('store-unavailable', { code: 'SECURE_API_RATE_LIMIT_UNAVAILABLE' })
    here.status('rateLimit.state', 'unavailable')
    await here.metric('secure_api.limit.store.available', value => value === 0)
    await here.metric('secure_api.store.outages', count => count >= 1, { 'secure_api.store': 'rate-limit' })
    await here.metric('secure_api.store.duration', count => count >= 5, { 'secure_api.store': 'rate-limit' })
    await here.metric('secure_api.limit.decisions', count => count >= 1, { 'secure_api.source': 'fallback' })
    here.answer('SECURE_API_RATE_LIMIT_UNAVAILABLE', await ask(limited.app, 'dave', '/exports'))
    there.answer('SECURE_API_REVOCATION_UNAVAILABLE', await ask(guarded.app, 'dave'))
  })
}

async function seeTheEnd ({ rehearsal, limited, restored }: Begun) {
  await restored()
  await rehearsal.see('It is over when', async at => {
    const here = at(limited)
    here.log('store-restored')
    here.status('rateLimit.state', 'available')
    await here.metric('secure_api.limit.store.available', value => value === 1)
    await here.metric('secure_api.limit.decisions', count => count >= 1, { 'secure_api.source': 'redis' })
  })
}

t.test('Redis dies, and comes back empty', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.close())
  const begun = await start(t, redis.port)
  const { issuer, rehearsal, url, denylist, limited, guarded, ask, many, counted } = begun
  // It complains of a Redis that takes 50 ms for an answer, and is called again when the machine is less busy.
  await until(async () => (await rehearsal.shell(0, '.', { REDIS_URL: url })).code === 0, 'a good word of doctor')
  // Made now: what the user gets a minute after the revocation is not revoked.
  const revoked = bearer(issuer, { sub: 'mallory', scope: 'a' })
  const revocation = { issuer: issuer.issuer, sub: 'mallory', until: Date.now() + 3_600_000 }
  await until(async () => await denylist.revoke(revocation).then(() => true, () => false), 'the revocation')
  const { sub: alice, answers } = await counted(atLimit, 101, isFull)
  t.ok(isFull(answers), `${alice} is at the limit`)
  await many('bob', 90)

  await redis.kill()
  await seeTheSigns(begun)
  t.equal((await ask(limited.app, alice)).statusCode, 429, `${alice} stays there`)
  t.equal(codeOf(await guarded.app.inject({ url: '/orders', headers: revoked })), 'SECURE_API_TOKEN_REVOKED')
  t.equal((await limited.app.inject('/health/ready')).statusCode, 200)
  const doctor = await rehearsal.shell(0, '.', { REDIS_URL: url })
  t.equal(doctor.code, 1)
  t.match(doctor.output, 'REDIS_CONNECT')
  await rehearsal.run(0, { app: limited.app }, limited.app)
  t.equal(goodOf(await many('frank', 40)), 25, 'the lower limit')
  limited.app.rateLimits.restore('read')

  await redis.restart()
  await seeTheEnd(begun)
})

t.test('Redis hangs, and a replica is promoted behind the same address', async t => {
  const primary = await startRedis('--repl-diskless-sync-delay', '0')
  const replica = await startRedis('--replicaof', `127.0.0.1 ${primary.port}`)
  t.teardown(async () => { await Promise.all([primary.close(), replica.close()]) })
  await reaches(replica, 'INFO replication', /master_link_status:up/)
  const address = await startAddress(t, primary.port)
  const begun = await start(t, address.port)
  const { rehearsal, names, many, counted } = begun
  const { sub: alice, answers } = await counted(atLimit, 101, isFull)
  t.ok(isFull(answers), `${alice} is at the limit`)
  for (const sub of below) t.equal(goodOf(await many(sub, 60)), 60, sub)
  await reaches(primary, 'WAIT 1 1000', /1/)

  primary.freeze()
  await seeTheSigns(begun)
  Object.assign(names, { 'redis-2.example.com -p 6379': `127.0.0.1 -p ${replica.port}` })
  const { code, output } = await rehearsal.shell(1, '.')
  t.strictSame([code, output.replaceAll('\r', '').trim()], [0, 'OK\nrole:master'])
  address.leadTo(replica.port)
  await seeTheEnd(begun)
  t.equal((await many(alice, 1))[0], 429, 'the counts were replicated')
  t.equal(goodOf((await counted(below, 60, answers => goodOf(answers) === 40)).answers), 40)
})
