import { Cluster } from 'ioredis'
import t from 'tap'
import { compilePolicy, createLimiter, isUnavailable, type Charge } from '../../../lib/limits/index.ts'
import { startCluster } from '../../helpers/redis-cluster.ts'

t.test('Redis Cluster: one caller lies on one node, and limits hold across nodes', async t => {
  const { nodes, clients, close } = await startCluster()
  const cluster = new Cluster(nodes.map(({ port }) => ({ host: '127.0.0.1', port })))
  const limiter = createLimiter({ redis: cluster, deadline: 10_000 })
  t.teardown(async () => {
    await limiter.close()
    cluster.disconnect()
    await close()
  })
  await cluster.ping()

  // A day: a bucket of 25 gets the next unit after an hour.
  const [user, address] = [compilePolicy('user', { limit: 10, window: '1 day' }),
    compilePolicy('address', { limit: 25, window: '1 day', algorithm: 'token-bucket' })]
  const keys = Array.from({ length: 30 }, (_, index) => `caller${index}`)
  const together = await Promise.all(keys.map(key => limiter.consume([[user, key], [address, key]])))
  t.ok(together.every(outcome => !isUnavailable(outcome) && outcome.every(({ allowed, source }) => allowed && source === 'redis')))
  const sizes = await Promise.all(clients.map(client => client.dbsize()))
  t.ok(sizes.every(size => size > 0), `keys on each node: ${sizes.join(', ')}`)
  t.equal(sizes.reduce((sum, size) => sum + size, 0), 60)

  const apart = (index: number): Charge[] => [[user, `other${index}`], [address, 'shared']]
  const outcomes = await Promise.all(Array.from({ length: 60 }, (_, index) => limiter.consume(apart(index))))
  const passed = outcomes.filter(outcome => !isUnavailable(outcome) && outcome.length === 2 && outcome.every(({ allowed }) => allowed))
  t.equal(passed.length, 25)
  const left = await Promise.all(outcomes.map((_, index) => limiter.peek(user, `other${index}`)))
  t.equal(left.filter(outcome => !isUnavailable(outcome) && outcome.remaining === 9).length, 25,
    'what was taken before a refusal is given back')
  t.match(limiter.status(), { failures: 0, state: 'available' })
})
