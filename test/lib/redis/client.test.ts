import { EventEmitter } from 'node:events'
import t from 'tap'
import { isRedisLike, script, scriptRunner } from '../../../lib/redis/index.ts'

const ping = script('return 1')
const sha = 'e0e1f9fabfc9d4800c877a703b823ac0578ff8db'
const unknownScript = async () => { throw new Error('NOSCRIPT No matching script.') }

t.test('a script has the name that Redis gives it', async t => {
  t.strictSame({ ...ping }, { source: 'return 1', sha })
})

t.test('ioredis: by hash, and with the source after NOSCRIPT only', async t => {
  const calls: unknown[] = []
  const client = {
    evalsha: async (...call: unknown[]) => { calls.push(call); return 1 },
    eval: async (...call: unknown[]) => { calls.push(call); return 2 }
  }
  t.equal(await scriptRunner(client).run(ping, ['a', 'b'], ['x']), 1)
  t.strictSame(calls, [[sha, 2, 'a', 'b', 'x']])
  t.equal(await scriptRunner({ ...client, evalsha: unknownScript }).run(ping, ['a'], ['x']), 2)
  t.strictSame(calls[1], ['return 1', 1, 'a', 'x'])
  await t.rejects(scriptRunner({ ...client, evalsha: async () => { throw new Error('READONLY') } }).run(ping, ['a'], []),
    { message: 'READONLY' })
  t.equal(calls.length, 2)
  t.equal(scriptRunner(client).cluster, false)
  t.equal(scriptRunner({ ...client, isCluster: true }).cluster, true)
})

t.test('node-redis: its call shape, and EVAL after NOSCRIPT', async t => {
  const calls: unknown[] = []
  const client = Object.assign(new EventEmitter(),
    { evalSha: unknownScript, eval: async (...call: unknown[]) => { calls.push(call); return 2 } })
  const runner = scriptRunner(client)
  t.equal(await runner.run(ping, ['a'], ['x']), 2)
  t.strictSame(calls, [['return 1', { keys: ['a'], arguments: ['x'] }]])
  t.strictSame([runner.cluster, scriptRunner({ evalSha: unknownScript, eval: unknownScript, slots: [] }).cluster], [false, true])
  const error = new Error('this would end the process without a listener')
  client.emit('error', error)
  t.equal(runner.lastError?.(), error)
  client.emit('ready')
  t.equal(runner.lastError?.(), undefined)
})

t.test('a client that has given up says so, with the last cause, until it is ready again', async t => {
  const client = Object.assign(new EventEmitter(), { eval: async () => 1, evalsha: async () => 1 })
  const runner = scriptRunner(client)
  client.emit('end')
  t.match(runner.lastError?.(), { name: 'StoreFailed', reason: 'ended', code: undefined })
  client.emit('error', new Error('ECONNREFUSED 127.0.0.1'))
  client.emit('end')
  t.match(runner.lastError?.(), { reason: 'ended', code: 'ECONNREFUSED' })
  client.emit('ready')
  t.equal(runner.lastError?.(), undefined)
  client.emit('error', new Error('WRONGPASS invalid username-password pair'))
  client.emit('end')
  t.match(runner.lastError?.(), { reason: 'authentication' }, 'what has to be mended first')
  const closed = scriptRunner(Object.assign(new EventEmitter(), { evalSha: unknownScript, eval: unknownScript, isOpen: false }))
  t.match(closed.lastError?.(), { reason: 'ended' }, 'node-redis')
})

t.test('a client that only knows eval gets the source each time, and is not taken for a Redis by itself', async t => {
  const calls: unknown[] = []
  const client = { eval: async (...call: unknown[]) => { calls.push(call); return 1 } }
  t.equal(await scriptRunner(client).run(ping, ['a'], ['x']), 1)
  t.strictSame(calls, [['return 1', 1, 'a', 'x']])
  t.strictSame([isRedisLike(client), isRedisLike(null), isRedisLike({ evalSha () {}, eval () {} })], [false, false, true])
})
