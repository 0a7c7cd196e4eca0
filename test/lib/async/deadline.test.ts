import { setTimeout as wait } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { scheduleTimer, withDeadline, type Schedule } from '../../../lib/async/index.ts'

const late = () => new Error('late')

t.test('an answer in time, an error, and none', async t => {
  t.equal(await withDeadline(wait(1, 'answer'), { ms: 1000, late }), 'answer')
  await t.rejects(withDeadline(Promise.reject(new Error('refused')), { ms: 1000, late }), { message: 'refused' })
  await t.rejects(withDeadline(new Promise(() => {}), { ms: 20, late }), { message: 'late' })
})

/** The clock of this process stands still; a timer fires when the test says so. */
function holdClock (t: Test) {
  const { setTimeout } = globalThis
  const { now } = performance
  t.teardown(() => {
    globalThis.setTimeout = setTimeout
    performance.now = now
  })
  const timers: { readonly fire: () => void, readonly ms: number | undefined }[] = []
  let time = 1000
  performance.now = () => time
  globalThis.setTimeout = Object.assign((fire: () => void, ms?: number) => {
    timers.push({ fire, ms })
    return setTimeout(() => {}, 0)
  }, setTimeout)
  return { timers, advance: (ms: number) => { time += ms } }
}

for (const [name, schedule] of Object.entries({ 'timers of its own': undefined, 'timers of its caller': scheduleTimer })) {
  t.test(`15 C6: work of several steps is not late because this process was busy: ${name}`, async t => {
    const work = async () => {
      for (let step = 0; step < 3; step++) await new Promise(resolve => setImmediate(() => setImmediate(resolve)))
      return 'answer'
    }
    const { timers, advance } = holdClock(t)
    const answers = [withDeadline(work(), { ms: 150, late, schedule }), withDeadline(new Promise(() => {}), { ms: 150, late, schedule })]
    // Busy for so long that both are overdue when the first timer may fire.
    advance(250)
    for (const { fire } of timers.splice(0)) fire()
    t.strictSame(timers.map(({ ms }) => ms), [100, 100], 'they get the lost time back')
    t.equal(await answers[0], 'answer')
    advance(100)
    for (const { fire } of timers.splice(0)) fire()
    await t.rejects(answers[1] ?? Promise.resolve(), { message: 'late' }, 'once')
  })
}

t.test('the caller\'s clock and signal end the wait', async t => {
  const timers = new Set<() => unknown>()
  const fire = () => { for (const callback of timers) callback() }
  const schedule: Schedule = callback => {
    timers.add(callback)
    return () => { timers.delete(callback) }
  }
  const hanging = () => new Promise(() => {})
  const timedOut = withDeadline(hanging(), { ms: 1000, late, schedule })
  fire()
  await t.rejects(timedOut, { message: 'late' })
  const controller = new AbortController()
  const aborted = withDeadline(hanging(), { ms: 1000, late, schedule, signal: controller.signal })
  controller.abort(new Error('closed'))
  await t.rejects(aborted, { message: 'closed' })
  await t.rejects(withDeadline(hanging(), { ms: 1000, late, schedule, signal: controller.signal }), { message: 'closed' })
  const told = new AbortController()
  const work = withDeadline(hanging(), { ms: 1000, late, schedule, controller: told })
  fire()
  await t.rejects(work, { message: 'late' })
  t.match(told.signal.reason, { message: 'late' }, 'the work is told')
  t.equal(await withDeadline(Promise.resolve('answer'), { ms: 1000, late, schedule, controller: told }).catch(() => 'ended'), 'ended',
    'an aborted controller starts no wait')
  t.equal(await withDeadline(Promise.resolve('answer'), { ms: 1000, late, schedule }), 'answer')
  t.equal(timers.size, 0, 'no timer is left')
})
