import t from 'tap'
import { Turnstile } from '../../../lib/limits/turnstile.ts'

t.test('so many at once, the others in their order', async t => {
  const turnstile = new Turnstile(2)
  const order: number[] = []
  t.equal(turnstile.enter('a'), undefined)
  t.equal(turnstile.enter('a'), undefined)
  const third = Promise.resolve(turnstile.enter('a')).then(() => order.push(3))
  const fourth = Promise.resolve(turnstile.enter('a')).then(() => order.push(4))
  t.equal(turnstile.enter('b'), undefined, 'other keys are not concerned')
  await Promise.resolve()
  t.same(order, [])
  turnstile.leave('a')
  await third
  t.same(order, [3])
  turnstile.leave('a')
  await fourth
  t.same(order, [3, 4])
})

t.test('a key that is idle again starts anew', async t => {
  const turnstile = new Turnstile(1)
  for (let round = 0; round < 3; round++) {
    t.equal(turnstile.enter('a'), undefined)
    turnstile.leave('a')
  }
  turnstile.leave('a')
  t.equal(turnstile.enter('a'), undefined, 'one that leaves twice makes no second place')
  t.ok(turnstile.enter('a') instanceof Promise)
})

t.test('a queue that is full turns away', async t => {
  const turnstile = new Turnstile(1)
  turnstile.enter('a')
  for (let i = 0; i < 1000; i++) t.ok(turnstile.enter('a') instanceof Promise)
  t.equal(turnstile.enter('a'), false)
})
