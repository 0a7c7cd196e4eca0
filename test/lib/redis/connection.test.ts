import t from 'tap'
import { CircuitBreaker, connectRedis, script, scriptRunner } from '../../../lib/redis/index.ts'
import { startRedis } from '../../helpers/redis.ts'

const ping = script('return 1')

t.test('connectRedis', async t => {
  const server = await startRedis()
  const connection = await connectRedis(server.url, 'rateLimit.redis')
  t.equal(await connection.ready, true)
  const breaker = new CircuitBreaker({ runner: scriptRunner(connection.client) })
  t.equal(await breaker.run(ping, [], []), 1)
  await server.kill()
  await t.rejects(breaker.run(ping, [], []), { name: 'StoreFailed' })
  await server.restart()
  await reconnected(breaker)
  t.equal(await breaker.run(ping, [], []), 1)
  connection.close()
  await t.rejects(breaker.run(ping, [], []), { name: 'StoreFailed', reason: 'connection' })
  await server.close()

  const absent = await connectRedis(server.url, 'rateLimit.redis')
  t.equal(await absent.ready, false, 'a server that is away does not hold the start up')
  t.match(absent.failure(), { reason: 'connection', code: 'ECONNREFUSED' })
  absent.close()
})

async function reconnected (breaker: CircuitBreaker): Promise<void> {
  for (let i = 0; i < 100; i++) {
    if (await breaker.run(ping, [], []).catch(() => 0) === 1) return
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}
