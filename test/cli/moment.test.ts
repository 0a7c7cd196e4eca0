import t from 'tap'
import { momentOf } from '../../cli/moment.ts'

const now = Date.parse('2027-01-31T12:00:00Z')

t.test('a duration from now, in either direction, or a date', async t => {
  t.equal(momentOf('1d', now, 1), now + 86_400_000)
  t.equal(momentOf('1d', now, -1), now - 86_400_000)
  t.equal(momentOf('2027-01-31', now, 1), Date.parse('2027-01-31T00:00:00Z'))
  t.equal(momentOf('2027-01-31T13:00+01:00', now, 1), now)
})

t.test('a time as the trail has it', async t => {
  t.equal(momentOf('2027-01-31T12:00:00.250Z', now, -1), now + 250)
  t.equal(momentOf('2027-01-31T12:00:00.250999Z', now, -1), now + 250)
})

t.test('nothing else', async t => {
  for (const given of ['', 'yesterday', '31.1.2027', '2027-01-31T12:00', '2027-01-31T12:00:00.Z', '2027-13-01']) {
    t.ok(Number.isNaN(momentOf(given, now, 1)), given)
  }
})
