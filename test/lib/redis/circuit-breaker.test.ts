import t from 'tap'
import { CircuitBreaker, script, type StoreEvent } from '../../../lib/redis/index.ts'

const ping = script('return 1')
const refuse = async (): Promise<unknown> => { throw new Error('connect ECONNREFUSED 10.0.0.1:6379') }

t.test('opens after five failures in a row, admits one probe at a time, and closes with the first answer', async t => {
  let [now, up] = [0, false]
  const events: StoreEvent[] = []
  const breaker = new CircuitBreaker({
    runner: { cluster: false, run: async () => up ? 1 : refuse() },
    now: () => now,
    onEvent: event => events.push(event)
  })
  const fail = () => t.rejects(breaker.run(ping, [], []), { name: 'StoreFailed', reason: 'connection' })
  for (let i = 0; i < 4; i++) await fail()
  t.equal(breaker.open, false)
  t.strictSame([breaker.admits(), breaker.admits()], [true, true])
  await fail()
  t.equal(breaker.open, true)
  t.equal(breaker.admits(), false)
  t.ok(breaker.retryAfter >= 375 && breaker.retryAfter <= 625)
  now += 1000
  t.strictSame([breaker.admits(), breaker.admits()], [true, false])
  up = true
  t.equal(await breaker.run(ping, [], []), 1)
  t.strictSame([breaker.open, breaker.admits(), breaker.retryAfter, breaker.failures], [false, true, 0, 5])
  t.match(events, [{ type: 'store-unavailable', reason: 'connection' }, { type: 'store-restored', downMs: 1000 }])
})

t.test('one answer between failures keeps it closed', async t => {
  let calls = 0
  const breaker = new CircuitBreaker({ runner: { cluster: false, run: async () => ++calls % 5 === 0 ? 1 : refuse() } })
  for (let i = 0; i < 20; i++) await breaker.run(ping, [], []).catch(() => {})
  t.strictSame([breaker.open, breaker.failures], [false, 16])
})

t.test('a call ends at its deadline, when the client throws, and when the breaker is closed', async t => {
  let now = 0
  const silent = new CircuitBreaker({ runner: { cluster: false, run: () => new Promise(() => {}) }, now: () => now })
  const late = silent.run(ping, [], [])
  now = 50
  await t.rejects(late, { name: 'StoreFailed', reason: 'timeout' })
  const throwing = new CircuitBreaker({ runner: { cluster: false, run: () => { throw new Error('no') } } })
  await t.rejects(throwing.run(ping, [], []), { name: 'StoreFailed', reason: 'unknown' })
  const ended = silent.run(ping, [], [])
  silent.close()
  await t.rejects(ended, { name: 'StoreFailed', reason: 'connection' })
})

t.test('the cause of a lost connection is what the client said when it ended', async t => {
  const breaker = new CircuitBreaker({
    runner: {
      cluster: false,
      run: refuse,
      lastError: () => new Error('WRONGPASS invalid username-password pair')
    }
  })
  await t.rejects(breaker.run(ping, [], []), { reason: 'authentication', code: 'WRONGPASS' })
})
