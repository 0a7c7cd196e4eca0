import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import { withDeadline, type Schedule } from '../../../lib/async/index.ts'

const late = () => new Error('late')
const busy = (ms: number) => { for (const end = performance.now() + ms; performance.now() < end;); }

t.test('an answer in time, an error, and none', async t => {
  t.equal(await withDeadline(wait(1, 'answer'), { ms: 1000, late }), 'answer')
  await t.rejects(withDeadline(Promise.reject(new Error('refused')), { ms: 1000, late }), { message: 'refused' })
  await t.rejects(withDeadline(new Promise(() => {}), { ms: 20, late }), { message: 'late' })
})

t.test('15 C6: work of several steps is not late because this process was busy', async t => {
  const work = async () => {
    for (let step = 0; step < 3; step++) await new Promise(resolve => setImmediate(() => setImmediate(resolve)))
    return 'answer'
  }
  const answer = withDeadline(work(), { ms: 150, late })
  busy(250)
  t.equal(await answer, 'answer')
})

t.test('the caller\'s clock and signal end the wait', async t => {
  let [fire, cancelled] = [() => {}, 0]
  const schedule: Schedule = callback => {
    fire = () => { callback() }
    return () => { cancelled++ }
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
  t.equal(await withDeadline(Promise.resolve('answer'), { ms: 1000, late, schedule }), 'answer')
  t.equal(cancelled, 4, 'no timer is left')
})
