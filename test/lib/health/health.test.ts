import fc from 'fast-check'
import t from 'tap'
import { Expiries, expiryOfPeer, HealthBoard, type ExpiryEvent, type HealthCheck, type HealthReport } from '../../../lib/health/index.ts'
import { nextStanding, type Standing } from '../../../lib/health/standing.ts'

const looks = fc.array(fc.record({ good: fc.boolean(), after: fc.nat(20_000) }), { minLength: 1, maxLength: 30 })

/** Each look with the standing after it. */
function course (given: ReadonlyArray<{ good: boolean, after: number }>, failAfter: number) {
  let standing: Standing | undefined
  let now = 0
  return given.map(({ good, after }) => {
    now += after
    standing = nextStanding(standing, good, now, failAfter)
    return { good, now, standing }
  })
}

t.test('a standing: a pass counts at once, and a failure after failAfter without a pass between', async t => {
  fc.assert(fc.property(looks, fc.nat(15_000), (given, failAfter) => {
    const seen = course(given, failAfter)
    for (const [index, { good, now, standing }] of seen.entries()) {
      const since = seen.slice(0, index + 1).findLastIndex(look => look.good) + 1
      const everGood = since > 0
      const firstBad = seen[since]?.now ?? now
      const expected = good || (everGood && now - firstBad < failAfter)
      if (standing.good !== expected) return false
    }
    return true
  }))
  fc.assert(fc.property(looks, fc.nat(15_000), (given, failAfter) => {
    const seen = course(given, failAfter)
    return seen.every(({ standing, now }, index) => {
      const before = seen[index - 1]?.standing
      return before?.good === standing.good ? standing.since === before.since : standing.since === now
    })
  }))
  t.strictSame(nextStanding(undefined, false, 5, 60_000), { good: false, since: 5 }, 'what never passed has no grace')
})

interface Bench {
  readonly board: HealthBoard
  readonly changes: HealthReport[]
  readonly errors: unknown[]
  readonly timers: Array<() => unknown>
  pass (ms: number): void
}

function bench (checks: Readonly<Record<string, HealthCheck>>, advisory: readonly string[] = []): Bench {
  let elapsed = 0
  const changes: HealthReport[] = []
  const errors: unknown[] = []
  const timers: Array<() => unknown> = []
  const board = new HealthBoard({
    checks: () => Object.entries(checks),
    advisory,
    failAfter: 10_000,
    timeout: 500,
    now: () => 1_700_000_000_000 + elapsed,
    elapsed: () => elapsed,
    schedule (callback) {
      timers.push(callback)
      return () => { timers.splice(timers.indexOf(callback), 1) }
    },
    onChange: report => { changes.push(report) },
    onError: (...error) => { errors.push(error) }
  })
  return { board, changes, errors, timers, pass: ms => { elapsed += ms } }
}

t.test('a board asks at most once a second, whoever asks how often', async t => {
  let asked = 0
  const { board, pass } = bench({ keys: () => { asked++; return undefined } })
  await Promise.all(Array.from({ length: 1000 }, () => board.report()))
  t.equal(asked, 1)
  pass(999)
  t.match(await board.report(), { status: 'pass', checks: { keys: { status: 'pass', since: '2023-11-14T22:13:20.000Z' } } })
  t.equal(asked, 1)
  pass(1)
  await board.report()
  t.equal(asked, 2)
})

t.test('a board warns first, fails after failAfter, recovers at once, and tells of both', async t => {
  let why: string | undefined
  const { board, changes, pass } = bench({ redis: () => why, other: async () => undefined })
  await board.report()
  why = 'away'
  pass(1000)
  t.match(await board.report(), { status: 'pass', checks: { redis: { status: 'warn', why: 'away' } } })
  pass(10_000)
  t.match(await board.report(), { status: 'fail', checks: { redis: { status: 'fail', why: 'away', since: '2023-11-14T22:13:31.000Z' } } })
  pass(1000)
  await board.report()
  why = undefined
  pass(1000)
  const { status, checks } = await board.report()
  t.strictSame([status, checks['redis']], ['pass', { status: 'pass', since: '2023-11-14T22:13:33.000Z' }])
  t.strictSame(changes.map(({ status }) => status), ['fail', 'pass'])
})

t.test('a board: what is only advisory never counts, and closing counts at once', async t => {
  const { board, changes } = bench({ mail: () => 'away', db: () => undefined }, ['mail'])
  t.match(await board.report(), { status: 'pass', checks: { mail: { status: 'warn', why: 'away' } } })
  t.strictSame(changes, [])
  board.close()
  t.match(await board.report(), { status: 'fail', checks: { closing: { status: 'fail' } } })
})

t.test('a board: a check that hangs fails in time, and is not asked a second time meanwhile', async t => {
  let asked = 0
  let answer: (value: undefined) => void = () => {}
  const { board, timers, pass } = bench({ db: () => { asked++; return new Promise(resolve => { answer = resolve }) } })
  for (let round = 0; round < 3; round++) {
    const report = board.report()
    await null
    t.equal(timers.length, 1)
    timers[0]?.()
    t.match(await report, { status: 'fail', checks: { db: { why: 'no answer within 500 ms' } } })
    pass(1000)
  }
  t.equal(asked, 1)
  answer(undefined)
  t.equal((await board.report()).status, 'pass')
})

t.test('a board: what a check throws is told in the log, once, and nowhere else', async t => {
  let fault: unknown = new Error('password=secret')
  const { board, errors, pass } = bench({
    db () {
      if (fault !== undefined) throw fault
      return undefined
    }
  })
  for (let round = 0; round < 3; round++) {
    const report = await board.report()
    t.notMatch(JSON.stringify(report), /secret/)
    t.match(report, { status: 'fail', checks: { db: { why: 'it failed' } } })
    pass(1000)
  }
  t.strictSame(errors, [['db', fault]])
  fault = undefined
  await board.report()
  fault = new Error('again')
  pass(1000)
  await board.report()
  t.equal(errors.length, 2)
})

const day = 86_400_000

t.test('expiries: each threshold is told once, a new certificate starts anew', async t => {
  let now = 0
  const told: ExpiryEvent[] = []
  const expiries = new Expiries(event => { told.push(event) }, () => now)
  const peer = (days: number) => ({
    valid_from: new Date(now - 60 * day).toUTCString(),
    valid_to: new Date(now + days * day).toUTCString(),
    subject: { CN: 'login.example.com' }
  })
  const stages = () => told.splice(0).map(({ stage }) => stage)
  expiries.see('issuer', expiryOfPeer('issuer https://login.example.com', peer(40)))
  const walk = (...days: number[]) => days.flatMap(at => {
    now = at * day
    for (let looks = 0; looks < 3; looks++) expiries.look()
    return stages()
  })
  t.strictSame(walk(0, 9, 10, 11, 26, 33, 39, 39.5, 40, 60), ['renew', 'soon', 'urgent', 'last-day', 'expired'])
  expiries.see('issuer', expiryOfPeer('issuer https://login.example.com', peer(29)))
  expiries.look()
  t.match(told, [{ stage: 'renew', name: 'issuer https://login.example.com', subject: 'CN=login.example.com', daysLeft: 29 }])
  t.strictSame(expiries.status().map(({ daysLeft }) => daysLeft), [29])
})

t.test('expiries: quiet ones are told of elsewhere; peers without a certificate, and too many of them, are passed over', async t => {
  const told: ExpiryEvent[] = []
  const expiries = new Expiries(event => { told.push(event) }, () => 0)
  expiries.from(() => [{ name: 'server', subject: 'CN=api', notAfter: day, lifetime: 90 * day, quiet: true }])
  expiries.see('plain', expiryOfPeer('redis', {}))
  for (let index = 0; index < 1000; index++) {
    expiries.see(`host ${index}`, { name: 'issuer', notAfter: 90 * day, lifetime: 365 * day })
  }
  expiries.look()
  t.strictSame(told, [])
  t.strictSame(expiries.status()[0], { name: 'server', subject: 'CN=api', expires: '1970-01-02T00:00:00.000Z', daysLeft: 1 })
  t.equal(expiries.status().length, 101)
})
