import t from 'tap'
import { scheduleTimer } from '../../../lib/async/index.ts'

t.test('a timer fires unless it is cancelled', async t => {
  const fired = await new Promise(resolve => {
    scheduleTimer(() => t.fail('cancelled'), 1)()
    scheduleTimer(() => { resolve(true) }, 5)
    setTimeout(() => {}, 20)
  })
  t.equal(fired, true)
})
