import t from 'tap'
import { OwnPrincipals } from '../../../lib/authentication/own-principals.ts'

const answer = () => ({
  subject: 'alice',
  client: 'web',
  tenant: 'acme',
  scopes: ['a', 'b'],
  roles: ['admin'],
  claims: { plan: 'gold', of: { team: ['x'] } },
  expiresAt: 5000
})

t.test('18: while an authenticator answers the same, the principal is the same object', async t => {
  const principals = new OwnPrincipals('session')
  const principal = principals.of(answer())
  t.equal(principals.of(answer()), principal)
  const otherwise = { scopes: new Set(['a', 'b']), expiresAt: new Date(5000), kind: 'user', issuer: 'session' }
  t.equal(principals.of({ ...answer(), ...otherwise }), principal)
  t.equal(principals.of({ ...answer(), subject: 'bob' }).subject, 'bob')
  t.equal(principals.of(answer()), principal)
})

t.test('18: where any part differs, it is another', async t => {
  const differences = [
    { kind: 'service' }, { client: undefined }, { client: 'app' }, { issuer: 'other' }, { tenant: undefined }, { tenant: 'other' },
    { scopes: undefined }, { scopes: ['a'] }, { scopes: ['a', 'a'] }, { scopes: ['a', 'c'] }, { scopes: ['a', 'b', 'c'] },
    { roles: [] }, { roles: ['user'] }, { claims: {} }, { claims: { plan: 'gold', of: { team: ['y'] } } },
    { claims: { plan: 'gold', of: { team: ['x'] }, more: undefined } }, { expiresAt: 5001 }, { expiresAt: undefined }
  ]
  for (const difference of differences) {
    const principals = new OwnPrincipals('session')
    const before = principals.of(answer())
    const after = principals.of({ ...answer(), ...difference })
    t.not(after, before, JSON.stringify(difference))
    t.strictSame(after, new OwnPrincipals('session').of({ ...answer(), ...difference }))
  }
})

t.test('18: a change of an object that the application keeps changes no principal, and counts from the next request on', async t => {
  const principals = new OwnPrincipals('session')
  const kept = answer()
  const before = principals.of(kept)
  kept.scopes.pop()
  kept.claims.of.team.push('y')
  t.strictSame([...before.scopes], ['a', 'b'])
  t.strictSame(before.claims, answer().claims)
  t.throws(() => { (before.claims as { plan: string }).plan = 'free' })
  const after = principals.of(kept)
  t.strictSame([...after.scopes], ['a'])
  t.strictSame(after.claims, { plan: 'gold', of: { team: ['x', 'y'] } })
})

t.test('18: no caller that is only half there is helped by what is remembered', async t => {
  const principals = new OwnPrincipals('session')
  principals.of(answer())
  for (const wrong of [{ scopes: 'a' }, { roles: [{}] }, { kind: 'admin' }, { claims: null }, { tenant: '' }, { expiresAt: NaN }]) {
    t.throws(() => principals.of({ ...answer(), ...wrong }), TypeError, JSON.stringify(wrong))
  }
})

t.test('18: only so many are remembered', async t => {
  const principals = new OwnPrincipals('session')
  const first = principals.of(answer())
  for (let user = 0; user < 1000; user++) principals.of({ subject: `user ${user}` })
  const again = principals.of(answer())
  t.not(again, first)
  t.strictSame(again, first)
})
