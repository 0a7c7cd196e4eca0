import t from 'tap'
import { readableLine, type AuditEvent } from '../../../lib/audit/index.ts'

const event: AuditEvent = {
  time: '2026-01-01T15:04:05.000Z',
  event: 'api_access',
  action: 'orders.read',
  outcome: 'allowed',
  status: 200,
  method: 'GET',
  route: '/orders/:id',
  requestId: 'r1',
  address: '192.0.2.1',
  durationMs: 1
}

/** What a terminal obeys, or what changes how a line is read. */
const hostile: Readonly<Record<string, string>> = {
  'escape sequence': '\u001b[2J\u001b]0;title\u0007',
  'C1 escape sequence': '\u009b2J',
  'new line': 'a\r\n12:00:00 GET /forged 200',
  'line separators': 'a\u2028b\u2029c\u0085d\u000be',
  backspaces: 'a\b\b\b\u007f',
  'right to left': 'a\u202egnp.exe\u202c\u2066b\u2069\u200f\u061c',
  invisible: 'a\u200b\u200d\ufeff\u00ad\u{e0061}',
  'no character': '\ud800\udfff\ud800'
}

t.test('19: a terminal gets no hostile text raw, wherever it stands', t => {
  for (const [name, text] of Object.entries(hostile)) {
    for (const change of [
      { principal: { kind: 'user', subject: text } as const }, { address: text }, { reason: text }, { action: text }, { method: text },
      { action: text, method: '' }, { route: text }
    ]) {
      const line = readableLine({ ...event, ...change })
      t.notMatch(line, /[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/u, `${name} in ${Object.keys(change).join()}: ${JSON.stringify(line)}`)
    }
  }
  t.end()
})

t.test('names of people are shown, and long ones cut', t => {
  for (const name of ['alice', 'Zoë Müller', '山田太郎', 'Ольга']) {
    t.match(readableLine({ ...event, principal: { kind: 'user', subject: name } }), `200 1.0 ms ${name}`)
  }
  const long = readableLine({ ...event, principal: { kind: 'user', subject: '😀'.repeat(1000) } })
  t.equal(Array.from(long).filter(char => char === '😀').length, 64)
  t.end()
})
