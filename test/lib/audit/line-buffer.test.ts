import { createHash } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { LineBuffer } from '../../../lib/audit/line-buffer.ts'

t.test('holds the UTF-8 of what was added, hashes a part of it and lets go of another', async t => {
  const buffer = new LineBuffer()
  fc.assert(fc.property(fc.array(fc.string({ unit: 'binary' }), { maxLength: 5 }), fc.string(), (texts, last) => {
    buffer.clear()
    for (const text of texts) buffer.add(text)
    const start = buffer.length
    buffer.add(last)
    t.equal(start, texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0))
    t.equal(buffer.hashFrom(start), createHash('sha256').update(last).digest('base64url'))
    buffer.cut(0, start)
    t.equal(buffer.content.toString(), last)
  }), { numRuns: 200 })
})

t.test('a batch of any size fits, and its memory is given back', async t => {
  const buffer = new LineBuffer()
  const long = 'ü'.repeat(800_000)
  buffer.add('a')
  buffer.add(long)
  buffer.add(long)
  t.equal(buffer.content.toString(), `a${long}${long}`)
  buffer.clear()
  buffer.add('b')
  t.equal(buffer.content.buffer.byteLength, 256 * 1024)
})
