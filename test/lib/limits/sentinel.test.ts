import { Redis } from 'ioredis'
import t from 'tap'
import { compilePolicy, createLimiter, isUnavailable } from '../../../lib/limits/index.ts'
import { reaches, startSentinels } from '../../helpers/redis-sentinel.ts'
import { until } from '../../helpers/server.ts'

t.test('15 C5: a limiter that is given an instance with sentinels counts, and counts again after a failover', { timeout: 60_000 }, async t => {
  const { name, primary, replica, sentinels, close } = await startSentinels()
  // As docs/recipes/redis-sentinel.md gives it, less passwords and TLS.
  const redis = new Redis({
    sentinels: [...sentinels],
    name,
    role: 'master',
    failoverDetector: true,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    connectTimeout: 500,
    socketTimeout: 5000,
    autoResendUnfulfilledCommands: false,
    retryStrategy: attempt => Math.min(attempt * 100, 1000),
    sentinelRetryStrategy: attempt => Math.min(attempt * 100, 1000),
    reconnectOnError: error => error.message.startsWith('READONLY')
  })
  const limiter = createLimiter({ redis })
  t.teardown(async () => {
    await limiter.close()
    redis.disconnect()
    await close()
  })
  const policy = compilePolicy('read', { limit: 2, window: 60_000 })
  const sourceOf = async (key: string) => {
    const outcome = await limiter.take(policy, key)
    return isUnavailable(outcome) ? 'none' : outcome.source
  }
  const decides = async (prefix: string) => {
    let attempt = 0
    await until(async () => await sourceOf(`${prefix}${++attempt}`) === 'redis', 'a decision of Redis')
  }
  const three = async (key: string) => [await limiter.take(policy, key), await limiter.take(policy, key), await limiter.take(policy, key)]
  const counted = [{ allowed: true, source: 'redis' }, { allowed: true, source: 'redis' }, { allowed: false }]

  await decides('before')
  t.match(await three('alice'), counted)
  t.equal(redis.stream.remotePort, primary.port)
  await primary.kill()
  t.match(await three('bob'), [{ allowed: true }, { allowed: true }, { allowed: false }], 'meanwhile this process counts')
  await reaches(replica, 'INFO replication', /role:master/)
  await decides('after')
  t.equal(redis.stream.remotePort, replica.port, 'the replica was promoted')
  t.match(await three('carol'), counted)
  t.match(limiter.status(), { state: 'available' })
})
