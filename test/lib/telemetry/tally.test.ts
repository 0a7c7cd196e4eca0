import fc from 'fast-check'
import t from 'tap'
import type { ObservableResult } from '../../../lib/telemetry/api.ts'
import { Tally } from '../../../lib/telemetry/tally.ts'

function told (tally: Tally): Record<string, number> {
  const counts: Record<string, number> = {}
  const result: ObservableResult = {
    observe (value, attributes = {}) { counts[JSON.stringify(Object.values(attributes))] = value }
  }
  tally.report(result)
  return counts
}

t.test('counts each combination of values for itself', async t => {
  const value = fc.constantFrom('a', 'b', 'a\nb', '', '__proto__')
  fc.assert(fc.property(fc.array(fc.tuple(fc.nat(9), value, value, value)), calls => {
    const tally = new Tally(['one', 'two', 'three'])
    const expected: Record<string, number> = {}
    for (const [count, ...values] of calls) {
      tally.add(count, ...values)
      const key = JSON.stringify(values)
      expected[key] = (expected[key] ?? 0) + count
    }
    t.strictSame(told(tally), expected)
  }))
})

t.test('names the values', async t => {
  const tally = new Tally(['secure_api.result'])
  tally.add(2, 'ok')
  tally.report({ observe: (value, attributes) => t.strictSame([value, attributes], [2, { 'secure_api.result': 'ok' }]) })
})
