import t from 'tap'
import { Turns } from '../../../lib/secrets/index.ts'

const refused = new Error('refused')
const isRefusal = (error: unknown) => error === refused

/** Somebody who knows some of the values. */
function other (...known: string[]) {
  const asked: string[] = []
  return {
    asked,
    known,
    ask: async (way: string) => {
      asked.push(way)
      if (!known.includes(way)) throw refused
      return way
    }
  }
}

t.test('what works goes first from then on', async t => {
  const turns = new Turns(['new', 'old'])
  const server = other('old')
  t.equal(await turns.run(server.ask, isRefusal), 'old')
  t.equal(await turns.run(server.ask, isRefusal), 'old')
  t.strictSame(server.asked, ['new', 'old', 'old'])
})

t.test('who changes between two attempts is asked once more with the first', async t => {
  const turns = new Turns(['old', 'new'])
  const server = other()
  const answer = await turns.run(async way => {
    if (way === 'new') server.known.push('old')
    return await server.ask(way)
  }, isRefusal)
  t.equal(answer, 'old')
  t.strictSame(server.asked, ['old', 'new', 'old'])
})

t.test('three attempts at most, none for another error, and none of a value that has ended', async t => {
  const turns = new Turns(['new', 'old', 'older'])
  const server = other()
  await t.rejects(turns.run(server.ask, isRefusal), refused)
  t.equal(server.asked.length, 3)
  const broken = new Error('broken')
  await t.rejects(turns.run(() => Promise.reject(broken), isRefusal), broken)
  turns.replace(['new'])
  await t.rejects(turns.run(server.ask, isRefusal), refused)
  t.strictSame(server.asked.slice(3), ['new'])
})
