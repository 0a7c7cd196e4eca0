import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { Repeats, Trails, type AuditEvent, type TrailsEntry } from '../../lib/audit/index.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

const million = 1_000_000
const allowed = (index: number): AuditEvent => ({
  time: '2026-01-01T00:00:00.000Z',
  event: 'api_access',
  action: 'orders.read',
  outcome: 'allowed',
  status: 200,
  method: 'GET',
  requestId: `r${index}`,
  address: '192.0.2.1',
  durationMs: 1
})

/** As many networks as there are events: nothing of theirs may be kept. */
const refused = (index: number): AuditEvent => ({
  ...allowed(index),
  outcome: 'denied',
  event: 'authn_fail',
  status: 401,
  reason: 'SECURE_API_UNAUTHENTICATED',
  address: `2001:db8:${(index >> 16).toString(16)}:${(index & 0xffff).toString(16)}::1`
})

interface Sink { readonly entry: TrailsEntry, readonly received: () => number, readonly recover: () => void }

/** Stalls, fails in both ways, works again, and stalls at the end. */
function moody (): Sink {
  let [received, left] = [0, 0]
  let waiting: Array<() => void> = []
  const accept = () => { received++ }
  const moods = [
    accept,
    () => { throw new Error('disk full') },
    async () => { throw new Error('disk full') },
    async () => { accept() },
    async () => { await new Promise<void>(resolve => { waiting.push(resolve) }); accept() }
  ]
  let mood = 0
  const entry: TrailsEntry = {
    name: 'moody',
    buffer: 1000,
    denies: false,
    destination: {
      write () {
        if (left-- === 0) [mood, left] = [(mood + 1) % moods.length, 20_000]
        return moods[mood]?.()
      }
    }
  }
  const recover = () => {
    for (const release of waiting) release()
    if (waiting.length > 0) left = 0
    waiting = []
  }
  return { entry, received: () => received, recover }
}

interface Counts { readonly recorded: number, readonly dropped: number, readonly pending: number, readonly failing: boolean }

function heap (): number {
  collectGarbage()
  return process.memoryUsage().heapUsed
}

t.test('19: a million events through a sink that stalls, fails and recovers: all are counted, and none is kept', async t => {
  const { entry, received, recover } = moody()
  let turns = 0
  const trails = new Trails([entry, { ...entry, name: 'steady', destination: { write () {} } }], () => { turns++ })
  const before = heap()
  let highest = 0
  for (let index = 0; index < million; index++) {
    trails.record(allowed(index))
    if (index % 100 !== 0) continue
    const { sinks: [first] } = trails.status() as { sinks: Counts[] }
    highest = Math.max(highest, first?.pending ?? 0)
    if (index % 1000 === 0) await setImmediate()
    if (index % 50_000 === 0) recover()
  }
  t.ok(highest <= 1000, `${highest} events were pending at once`)
  const { sinks: [first, steady] } = trails.status() as { sinks: Counts[] }
  t.equal((first?.recorded ?? 0) + (first?.dropped ?? 0) + (first?.pending ?? 0), million)
  t.ok((first?.dropped ?? 0) > 10_000 && (first?.recorded ?? 0) > 10_000, JSON.stringify(first))
  t.match(steady, { recorded: million, dropped: 0, pending: 0, failing: false }, 'the other sink has them all')
  t.ok(turns > 2, `it failed and recovered ${turns} times`)
  const grown = heap() - before
  t.ok(grown < 20_000_000, `${grown} bytes are kept`)
  recover()
  t.strictSame(await trails.close(60_000), {})
  const { sinks: [last] } = trails.status() as { sinks: Counts[] }
  t.equal((last?.recorded ?? 0) + (last?.dropped ?? 0), million, 'nothing is pending')
  t.equal(last?.recorded, received(), 'what the sink received is what was recorded')
})

t.test('19: a million refusals from as many networks collapse into a bounded number of events, and all are counted', async t => {
  let [events, requests, ends] = [0, 0, () => {}]
  const record = ({ repeats = 1 }: AuditEvent) => {
    events++
    requests += repeats
  }
  const schedule = (call: () => void) => { ends = call; return () => {} }
  const repeats = new Repeats({ record, capacity: 500, spare: 250, schedule })
  const before = heap()
  for (let index = 0; index < million; index++) {
    repeats.see(refused(index))
    if (index % 100_000 === 99_999) ends()
  }
  const grown = heap() - before
  t.ok(grown < 20_000_000, `${grown} bytes are kept`)
  repeats.close()
  t.equal(requests, million)
  t.ok(events <= 10 * 502, `${events} events in ten windows`)
  t.equal(repeats.collapsed, million - 10 * 500, 'the rest is counted')
})
