import t from 'tap'
import { likest } from './rehearsal.ts'

const code = 'SECURE_API_CERTIFICATE_EXPIRING'
const [server, authority] = [{ code, certificate: { name: 'server', days: 6 } }, { code, certificate: { name: 'client-ca', days: 6 } }]

t.test('a rehearsal finds the line of either certificate, in whichever order they were written', async t => {
  for (const lines of [[server, authority], [authority, server]]) {
    t.equal(likest(lines, { certificate: { name: 'client-ca' } }), authority)
    t.equal(likest(lines, { certificate: { name: 'server' } }), server)
  }
})

t.test('where no line holds what is wanted, the last is shown', async t => {
  t.equal(likest([server, authority], { certificate: { name: 'nobody' } }), authority)
  t.equal(likest([], {}), undefined)
})

t.test('a list that is wanted must be the same', async t => {
  const [some, none] = [{ added: ['key-2'], removed: ['key-1'] }, { added: [], removed: ['key-1'] }]
  t.equal(likest([none, some], { added: [] }), none)
  t.equal(likest([none, some], { added: [], removed: [] }), some)
})
