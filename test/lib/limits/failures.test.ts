import t from 'tap'
import {
  createLimiter, FailureReservations, LimitBook, type Entrance, type Limiter, type RateLimitOptions,
  type Reservation
} from '../../../lib/limits/index.ts'
import type { RedisLike } from '../../../lib/redis/index.ts'

/** A store whose answers come when a test lets them; it counts the failures of all processes in one budget. */
class LateStore {
  readonly #pending: (() => void)[] = []
  readonly #limit: number
  used = 0
  readonly redis: RedisLike = {
    evalsha: (_: string, items: number, ...rest: string[]) => this.#ask(items, rest),
    eval: (_: string, items: number, ...rest: string[]) => this.#ask(items, rest)
  }

  constructor (limit: number) {
    this.#limit = limit
  }

  /** An item that says more than its shape ends with how many requests share it. */
  #ask (items: number, rest: readonly string[]): Promise<unknown> {
    const asking = rest.slice(-items).map(item => Number(item.split(',')[2] ?? 1))
    return new Promise(resolve => {
      this.#pending.push(() => resolve([...asking.flatMap(requests => this.#decide(requests)), 1]))
    })
  }

  #decide (requests: number): number[] {
    const admitted = Math.min(requests, this.#limit - this.used)
    this.used += admitted
    return [admitted, this.#limit - this.used, admitted === requests ? 0 : 60_000_000, 60_000_000]
  }

  async answer (): Promise<void> {
    await turn()
    for (const answer of this.#pending.splice(0)) answer()
    await turn()
  }
}

const turn = () => new Promise(resolve => setImmediate(resolve))
const limit = 20
const here = () => false

function budget (limiter: Limiter, failures: RateLimitOptions['failures'] = { limit, window: '1 minute' }): FailureReservations {
  const { failures: entry } = new LimitBook({ failures: failures ?? false })
  if (entry === undefined) throw new Error('there is a budget')
  return new FailureReservations(limiter, entry)
}

const held = (entrance: Entrance): entrance is Reservation => typeof entrance === 'object' && 'key' in entrance

/** So many forged tokens at once: how many are verified. */
async function forge (from: FailureReservations, times: number, key = 'a'): Promise<{ verified: number, refused: number }> {
  let [verified, refused] = [0, 0]
  await Promise.all(Array.from({ length: times }, async () => {
    const entrance = await from.enter(key, here)
    if (!held(entrance)) return refused++
    verified++
    await turn()
    return from.spend(entrance)
  }))
  return { verified, refused }
}

for (const [name, store] of [['memory', undefined], ['a store that answers late', new LateStore(limit)]] as const) {
  t.test(`14 C4: of 1,000 forged tokens at once as many are verified as the limit has units: ${name}`, async t => {
    const limiter = store === undefined ? createLimiter({}) : createLimiter({ redis: store.redis, deadline: 60_000 })
    t.teardown(() => limiter.close())
    const from = budget(limiter)
    t.strictSame(await forge(from, 1000), { verified: limit, refused: 1000 - limit })
    t.strictSame(await forge(from, 100), { verified: 0, refused: 100 }, 'before the store has said a word')
    await store?.answer()
    t.strictSame(await forge(from, 100), { verified: 0, refused: 100 }, 'and after')
    if (store !== undefined) t.equal(store.used, limit, 'each failure was told')
    t.strictSame(await forge(from, 1, 'b'), { verified: 1, refused: 0 }, 'another address')
    await store?.answer()
  })
}

t.test('14 C4: good tokens beside forged ones wait for a unit and are all verified', async t => {
  const from = budget(createLimiter({}), { limit: 2, window: '1 minute' })
  let verified = 0
  await Promise.all(Array.from({ length: 50 }, async () => {
    const entrance = await from.enter('a', here)
    if (!held(entrance)) return
    verified++
    await turn()
    from.giveBack(entrance)
  }))
  t.equal(verified, 50)
  t.strictSame(await forge(from, 5), { verified: 2, refused: 3 }, 'a success uses nothing up')
})

t.test('14 C4: what other processes have used is known with the first answer', async t => {
  const store = new LateStore(limit)
  store.used = 15
  const limiter = createLimiter({ redis: store.redis, deadline: 60_000 })
  t.teardown(() => limiter.close())
  const from = budget(limiter)
  t.strictSame(await forge(from, 1), { verified: 1, refused: 0 })
  await store.answer()
  t.strictSame(await forge(from, 100), { verified: 4, refused: 96 })
  await store.answer()
})

t.test('two processes may each verify as many', async t => {
  const store = new LateStore(limit)
  const limiters = [createLimiter({ redis: store.redis, deadline: 60_000 }), createLimiter({ redis: store.redis, deadline: 60_000 })]
  t.teardown(() => limiters.forEach(limiter => limiter.close()))
  const runs = await Promise.all(limiters.map(limiter => forge(budget(limiter), 100)))
  t.strictSame(runs.map(({ verified }) => verified), [limit, limit])
  await store.answer()
})

t.test('whoever leaves the queue takes no unit, and a queue that is full turns away', async t => {
  const from = budget(createLimiter({}), { limit: 1, window: '1 minute' })
  const first = await from.enter('a', here)
  let gone = false
  const waiting = Array.from({ length: 1000 }, () => from.enter('a', () => gone))
  t.equal(from.enter('a', here), 'crowded')
  gone = true
  if (held(first)) from.giveBack(first)
  t.strictSame(new Set(await Promise.all(waiting)), new Set(['crowded']))
  t.ok(held(await from.enter('a', here)))
})

t.test('a dry run refuses nobody, and `allow` counts nothing while the store is away', async t => {
  t.strictSame(await forge(budget(createLimiter({}), { limit: 1, window: '1 minute', dryRun: true }), 5), { verified: 5, refused: 0 })
  const limiter = createLimiter({
    redis: {
      evalsha: () => Promise.reject(new Error('ECONNREFUSED')),
      eval: () => Promise.reject(new Error('ECONNREFUSED'))
    }
  })
  t.teardown(() => limiter.close())
  const settle = () => new Promise(resolve => setImmediate(() => setImmediate(resolve)))
  const open = budget(limiter, { limit: 1, window: '1 minute', onStoreFailure: 'allow' })
  for (let i = 0; i < 7; i++) {
    t.strictSame(await forge(open, 1), { verified: 1, refused: 0 })
    await settle()
  }
  const local = budget(limiter, { limit: 1, window: '1 minute', onStoreFailure: 'deny' })
  t.strictSame(await forge(local, 5), { verified: 1, refused: 4 }, 'under `deny` too: what is not counted there is counted here')
})
