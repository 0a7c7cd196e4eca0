import { randomUUID } from 'node:crypto'
import { Valkey } from 'iovalkey'
import { Cluster, Redis } from 'ioredis'
import { createClient, createCluster } from 'redis'
import t, { type Test } from 'tap'
import { createDenylist, type AccessTokenClaims, type DenylistRedis } from '../../../lib/tokens/index.ts'
import { holdClock } from '../../helpers/still-clock.ts'
import { startCluster } from '../../helpers/redis-cluster.ts'
import { startRedis } from '../../helpers/redis.ts'

const issuer = 'https://login.example.com'
const until = Date.now() + 600_000
const claims = {
  iss: issuer,
  aud: 'api',
  exp: until / 1000,
  iat: Math.floor(Date.now() / 1000),
  sub: 'alice',
  jti: 't1',
  sid: 's1'
} satisfies AccessTokenClaims
const bob = { ...claims, sub: 'bob', jti: 't2', sid: 's2' }

/** Revokes in one process and asks in another. */
async function shares (t: Test, redis: DenylistRedis, name: string): Promise<void> {
  for (const revocation of [{ jti: 't1' }, { sid: 's1' }, { sub: 'alice' }]) {
    const prefix = `${randomUUID()}:`
    await createDenylist({ redis, prefix }).revoke({ ...revocation, issuer, until })
    const other = createDenylist({ redis, prefix })
    t.equal(await other.isRevoked(claims), true, `${name}: ${JSON.stringify(revocation)}`)
    t.equal(await other.isRevoked(bob), false, `${name}: another caller`)
  }
}

t.test('16.5: every client of one server shares the list, a client that only knows get and eval too', async t => {
  holdClock(t)
  const server = await startRedis()
  const [ioredis, valkey, node] = [new Redis(server.url), new Valkey(server.url), createClient({ url: server.url })]
  t.teardown(async () => {
    ioredis.disconnect()
    valkey.disconnect()
    node.destroy()
    await server.close()
  })
  await node.connect()
  await shares(t, ioredis, 'ioredis')
  await shares(t, valkey, 'iovalkey')
  await shares(t, node, 'node-redis')
  await shares(t, { get: key => ioredis.get(key), eval: (script, keys, ...values) => ioredis.eval(script, keys, ...values) },
    'get and eval')
})

t.test('16.5: a cluster, where the names of one token lie on several nodes', async t => {
  holdClock(t)
  const { nodes, close } = await startCluster()
  const cluster = new Cluster(nodes.map(({ port }) => ({ host: '127.0.0.1', port })))
  const node = createCluster({ rootNodes: nodes.map(({ url }) => ({ url })) })
  t.teardown(async () => {
    cluster.disconnect()
    node.destroy()
    await close()
  })
  await Promise.all([cluster.ping(), node.connect()])
  await shares(t, cluster, 'ioredis Cluster')
  await shares(t, node, 'node-redis cluster')
})

t.test('16.5: a look-up is one call for all names, and one for each in a cluster', async t => {
  const calls: string[][] = []
  const evalsha = async (_sha: string, keys: number, ...values: string[]) => { calls.push(values); return Array(keys).fill(null) }
  const client = { evalsha, eval: evalsha }
  t.equal(await createDenylist({ redis: client }).isRevoked(claims), false)
  t.strictSame(calls.map(({ length }) => length), [3])
  t.equal(await createDenylist({ redis: { ...client, isCluster: true } }).isRevoked(claims), false)
  t.strictSame(calls.map(({ length }) => length), [3, 1, 1, 1])
})

t.test('16.5: a Redis that is known to be dead is not asked for each request, and a revocation still tries', async t => {
  holdClock(t) // or it is asked again after half a second
  let [calls, up] = [0, false]
  const evalsha = async (_sha: string, keys: number, ...values: string[]) => {
    calls++
    if (!up) throw new Error('connect ECONNREFUSED')
    return values.length > keys ? 1 : Array(keys).fill(null)
  }
  const denylist = createDenylist({ redis: { evalsha, eval: evalsha } })
  const failures: unknown[] = []
  const look = async () => { try { await denylist.isRevoked(claims) } catch (error) { failures.push(error) } }
  for (let i = 0; i < 100; i++) await look()
  const asked = calls
  const revoked: unknown = await denylist.revoke({ jti: 't9', issuer, until }).catch((error: unknown) => error)
  t.strictSame([asked, calls], [5, 6])
  t.equal(failures.length, 100)
  for (const failure of failures) t.match(failure, { name: 'StoreFailed', reason: 'connection' })
  t.match(revoked, { code: 'SECURE_API_DENYLIST_LOCAL_ONLY', cause: { reason: 'connection' } })
  up = true
  await denylist.revoke({ jti: 't9', issuer, until })
  t.equal(await denylist.isRevoked(claims), false, 'the answer to the revocation ended the outage')
})

t.test('a reply that is none lets no token in', async t => {
  for (const reply of [undefined, null, 'OK', [], [null], [null, null, null, null]]) {
    const evalsha = async () => reply
    await t.rejects(async () => await createDenylist({ redis: { evalsha, eval: evalsha } }).isRevoked(claims),
      { name: 'StoreFailed', reason: 'reply' })
  }
})
