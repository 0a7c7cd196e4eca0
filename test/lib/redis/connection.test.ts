import t from 'tap'
import { CircuitBreaker, connectRedis, script, scriptRunner, type StoreFailed } from '../../../lib/redis/index.ts'
import { startRedis } from '../../helpers/redis.ts'
import { until } from '../../helpers/server.ts'

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
  const failureNow = async () => await breaker.run(ping, [], []).catch((error: unknown) => (error as StoreFailed).reason)
  await until(async () => await failureNow() === 'ended', 'the end of the connection')
  await server.close()

  const absent = await connectRedis(server.url, 'rateLimit.redis')
  t.equal(await absent.ready, false, 'a server that is away does not hold the start up')
  t.match(absent.failure(), { reason: 'connection', code: 'ECONNREFUSED' })
  absent.close()
})

t.test('a connection moves to another address when that answers, and at the latest when it is the only one', async t => {
  const [first, second] = [await startRedis(), await startRedis()]
  t.teardown(async () => { await Promise.all([first.close(), second.close()]) })
  const plans: Array<() => unknown> = []
  const refused: unknown[] = []
  const connection = await connectRedis(first.url, 'rateLimit.redis', {
    schedule: run => { plans.push(run); return () => {} },
    onRefused: failure => { refused.push(failure?.reason) }
  })
  t.teardown(() => connection.close())
  await connection.ready
  const portOf = async () => {
    const info = await connection.client.eval("return redis.call('INFO', 'server')", 0)
    return /tcp_port:(\d+)/.exec(String(info))?.[1]
  }
  const retried = async () => { await Promise.all(plans.splice(0).map(run => run())) }
  await second.kill()
  connection.use([second.url, first.url])
  await until(() => refused.length > 0, 'the refusal')
  t.strictSame(refused, ['connection'])
  t.equal(await portOf(), String(first.port), 'it stays where it is')
  await retried()
  t.equal(refused.length, 1, 'told once')
  await second.restart()
  await retried()
  t.equal(await portOf(), String(second.port))
  await retried()
  connection.use([first.url])
  await until(async () => await portOf().catch(() => '') === String(first.port), 'the only one')
  connection.use([second.url, first.url])
  connection.close()
  await retried()
  await t.rejects(portOf(), 'closed is closed')
})

async function reconnected (breaker: CircuitBreaker): Promise<void> {
  for (let i = 0; i < 100; i++) {
    if (await breaker.run(ping, [], []).catch(() => 0) === 1) return
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}
