import fc from 'fast-check'
import t from 'tap'
import { jsonShape } from '../../../lib/http/index.ts'

/** Objects and lists, how deep they are and what they hold, as the parser sees them. */
function counted (value: unknown): { depth: number, brackets: number, weight: number } {
  if (typeof value !== 'object' || value === null) return { depth: 0, brackets: 0, weight: 0 }
  const parts = Object.values(value).map(counted)
  const sum = (key: 'brackets' | 'weight') => parts.reduce((total, part) => total + part[key], 0)
  const names = Array.isArray(value) ? 0 : parts.length
  return {
    depth: 1 + Math.max(0, ...parts.map(({ depth }) => depth)),
    brackets: 1 + sum('brackets'),
    weight: 2 + 2 * names + Math.max(0, parts.length - 1) + sum('weight')
  }
}

t.test('the shape of a JSON text is that of its value, whatever its texts hold', async t => {
  // Some longer than what is looked at byte by byte.
  const unit = fc.constantFrom('"', '\\', '{', '}', '[', ']', ':', ',', 'a', '\u2028', '\\'.repeat(15), 'a'.repeat(16), '"'.repeat(9))
  const texts = fc.string({ unit })
  const values = fc.letrec(tie => ({
    any: fc.oneof({ depthSize: 'medium' }, texts, fc.constantFrom(null, 0, true), fc.array(tie('any')), tie('object')),
    object: fc.dictionary(texts, tie('any'))
  }))
  fc.assert(fc.property(values.object, fc.boolean(), (object, spaced) => {
    const value = object as object
    const shape = jsonShape(JSON.stringify(value, undefined, spaced ? 2 : 0))
    t.strictSame(shape, { members: Object.keys(value).length, ...counted(value) })
  }), { numRuns: 300 })
})

t.test('of any other text it says something, and ends', async () => {
  const texts = fc.string({ unit: fc.constantFrom('"', '\\', '{', ']', ':', ',', 'a'), maxLength: 200 })
  fc.assert(fc.property(texts, text => Object.values(jsonShape(text)).every(Number.isInteger)), { numRuns: 1000 })
})
