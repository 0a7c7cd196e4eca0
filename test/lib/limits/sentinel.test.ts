import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { secureApiCommand } from '../../../cli/secure-api.ts'
import { compilePolicy, createLimiter, isUnavailable } from '../../../lib/limits/index.ts'
import { fakeTerminal } from '../../cli/terminal.ts'
import { reaches, startSentinels, type TestSentinels } from '../../helpers/redis-sentinel.ts'
import { until } from '../../helpers/server.ts'

const policy = compilePolicy('read', { limit: 2, window: 60_000 })

/** As docs/recipes/redis-sentinel.md gives it, less passwords and TLS. */
function connect ({ sentinels, name }: TestSentinels): Redis {
  return new Redis({
    sentinels: [...sentinels],
    name,
    role: 'master',
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    connectTimeout: 500,
    socketTimeout: 5000,
    autoResendUnfulfilledCommands: false,
    retryStrategy: attempt => Math.min(attempt * 100, 1000),
    sentinelRetryStrategy: attempt => Math.min(attempt * 100, 1000),
    reconnectOnError: error => error.message.startsWith('READONLY')
  })
}

async function limited (t: Test) {
  const servers = await startSentinels()
  const redis = connect(servers)
  const limiter = createLimiter({ redis })
  t.teardown(async () => {
    await limiter.close()
    redis.disconnect()
    await servers.close()
  })
  const take = async (key: string) => await limiter.take(policy, key)
  /** Waits until Redis decides, with a fresh caller for each attempt. */
  const decides = async (prefix: string) => {
    let attempt = 0
    await until(async () => {
      const outcome = await take(`${prefix}${++attempt}`)
      return !isUnavailable(outcome) && outcome.source === 'redis'
    }, 'a decision of Redis') // sentinels vote anew after twice their time-out when a vote fails
  }
  const three = async (key: string) => [await take(key), await take(key), await take(key)]
  /** In one turn: they share one call to Redis, or none. */
  const threeAtOnce = async (key: string) => await Promise.all([take(key), take(key), take(key)])
  /** With a fresh caller each time: on a busy machine an answer may come too late, which then counts in this process. */
  const counts = async (prefix: string) => {
    let attempt = 0
    await until(async () => {
      const outcomes = await three(`${prefix}-${++attempt}`)
      return outcomes.every((outcome, index) => !isUnavailable(outcome) && outcome.source !== 'fallback' && outcome.allowed === (index < 2))
    }, 'three decisions of Redis')
  }
  await decides('before')
  return { servers, redis, limiter, decides, threeAtOnce, counts }
}

t.test('15 C5: a limiter that is given an instance with sentinels counts, and counts again after a failover', async t => {
  const { servers: { primary, replica }, redis, limiter, decides, threeAtOnce, counts } = await limited(t)
  await counts('alice')
  t.equal(redis.stream.remotePort, primary.port)
  await primary.kill()
  t.match(await threeAtOnce('bob'), [{ allowed: true }, { allowed: true }, { allowed: false }], 'meanwhile this process counts')
  await reaches(replica, 'INFO replication', /role:master/)
  await decides('after')
  t.equal(redis.stream.remotePort, replica.port, 'the replica was promoted')
  await counts('carol')
  t.match(limiter.status(), { state: 'available' })
})

t.test('15 C5: a limiter leaves a primary that lives on after a planned failover', async t => {
  const { servers: { name, replica, sentinels }, redis, decides, counts } = await limited(t)
  const [sentinel] = sentinels
  // Refused while the sentinel has not heard from the replica for five seconds.
  await until(async () => await reaches({ url: `redis://127.0.0.1:${sentinel?.port}` }, `SENTINEL FAILOVER ${name}`, /OK/)
    .then(() => true, (error: Error) => error.message.startsWith('INPROG')), 'the failover')
  await reaches(replica, 'INFO replication', /role:master/)
  await until(async () => {
    await decides('after')
    return redis.stream.remotePort === replica.port
  }, 'the promoted replica') // the old primary becomes a replica, and says READONLY, about ten seconds later
  await counts('alice')
  t.pass('each counted by Redis, and the third one refused')
})

t.test('15 C5: doctor says of a sentinel that it is one, and what to write', async t => {
  const servers = await startSentinels()
  t.teardown(() => servers.close())
  let said = ''
  await until(async () => { // doctor waits for five seconds, which a busy machine may need
    const { terminal, stdout } = fakeTerminal()
    await secureApiCommand(['doctor', 'redis', `redis://127.0.0.1:${servers.sentinels[0]?.port}`, '--json'], terminal)
    said = stdout()
    return said.includes('REDIS_MODE')
  }, 'an answer of the sentinel')
  t.match(said, /"REDIS_MODE"[^}]*a sentinel[^}]*`sentinels` and `name`/)
})
