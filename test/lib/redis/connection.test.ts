import t from 'tap'
import {
  CircuitBreaker, connectRedis, script, scriptRunner, type RedisConnection, type StoreFailed
} from '../../../lib/redis/index.ts'
import { startRedis } from '../../helpers/redis.ts'
import { until } from '../../helpers/server.ts'

const ping = script('return 1')

/** A connection that was ready in its first second: a busy machine may need another attempt. */
async function connected (url: string): Promise<RedisConnection> {
  let connection: RedisConnection | undefined
  await until(async () => {
    connection?.close()
    connection = await connectRedis(url, 'rateLimit.redis')
    return await connection.ready
  }, 'a connection that is ready')
  if (connection === undefined) throw new Error('there is none')
  return connection
}

t.test('connectRedis', async t => {
  const server = await startRedis()
  const connection = await connected(server.url)
  const breaker = new CircuitBreaker({ runner: scriptRunner(connection.client), deadline: 60_000 })
  t.equal(await breaker.run(ping, [], []), 1)
  await server.kill()
  await t.rejects(breaker.run(ping, [], []), { name: 'StoreFailed' })
  await server.restart()
  await until(async () => await breaker.run(ping, [], []).catch(() => 0) === 1, 'the next connection')
  connection.close()
  const failureNow = async () => await breaker.run(ping, [], []).catch((error: unknown) => (error as StoreFailed).reason)
  await until(async () => await failureNow() === 'ended', 'the end of the connection')
  await server.close()

  const absent = await connectRedis(server.url, 'rateLimit.redis')
  t.equal(await absent.ready, false, 'a server that is away does not hold the start up')
  // An attempt that a busy machine did not get to ends as one that took too long; the next one is made at once.
  await until(() => absent.failure()?.code === 'ECONNREFUSED', 'the refusal')
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
  const portOf = async () => {
    const info = await connection.client.eval("return redis.call('INFO', 'server')", 0)
    return /tcp_port:(\d+)/.exec(String(info))?.[1]
  }
  const retried = async () => { await Promise.all(plans.splice(0).map(run => run())) }
  await until(async () => await portOf().catch(() => '') === String(first.port), 'the first connection')
  await second.kill()
  connection.use([second.url, first.url])
  await until(() => refused.length > 0, 'the refusal')
  t.match(refused, [/^(connection|timeout)$/], 'which of them, a busy machine decides')
  t.equal(await portOf(), String(first.port), 'it stays where it is')
  await retried()
  t.equal(refused.length, 1, 'told once')
  await second.restart()
  await until(async () => {
    await retried()
    return await portOf() === String(second.port)
  }, 'the move to the second')
  await retried()
  connection.use([first.url])
  await until(async () => await portOf().catch(() => '') === String(first.port), 'the only one')
  connection.use([second.url, first.url])
  connection.close()
  await retried()
  await t.rejects(portOf(), 'closed is closed')
})
