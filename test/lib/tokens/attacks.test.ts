import { validateHeaderValue } from 'node:http'
import t from 'tap'
import { readBearer } from '../../../lib/credentials/index.ts'
import type { AnswerCode } from '../../../lib/http/index.ts'
import { compileIssuer, TokenAuthenticator } from '../../../lib/tokens/index.ts'
import { attacks, createForge, goodToken, type Attack } from '../../fixtures/attacks.ts'
import { createSigningKey, staticKeys } from '../../fixtures/forge.ts'

const issuer = 'https://login.example.com'
const now = 1_800_000_000_000
const key = createSigningKey()
const environment = { issuer, audience: 'api://orders', kid: key.kid, privateKey: key.privateKey, publicKey: key.publicKey, now }
const all = attacks(environment)

function createAuthenticator () {
  const [rules] = compileIssuer({ issuer, audience: 'api://orders' })
  if (rules === undefined) throw new Error('no rules')
  return new TokenAuthenticator({ issuers: [{ rules, keys: staticKeys(key) }], now: () => now })
}

async function answer (authenticator: TokenAuthenticator, { authorization, query }: Attack): Promise<AnswerCode | 'accepted'> {
  const rawHeaders = authorization.flatMap(value => ['Authorization', value])
  const bearer = readBearer(rawHeaders, authorization[0], `/orders${query}`)
  if (bearer === 'none') return 'SECURE_API_UNAUTHENTICATED'
  if (typeof bearer === 'string') return bearer
  const known = await authenticator.lookup(bearer.token)
  const outcome = known.kind === 'unknown' ? await authenticator.authenticate(known) : known
  return outcome.kind === 'verified' ? 'accepted' : outcome.code
}

t.test('the token that all attacks are made from is accepted', async t => {
  const outcome = await createAuthenticator().authenticate(goodToken(environment))
  t.equal(outcome.kind, 'verified')
})

t.test('no attack is accepted, each for the right reason', async t => {
  const authenticator = createAuthenticator()
  t.ok(all.length >= 120, `${all.length} attacks`)
  t.equal(new Set(all.map(({ name }) => name)).size, all.length, 'each has a name of its own')
  for (const attack of all) {
    const code = await answer(authenticator, attack)
    t.ok(code !== 'accepted' && attack.expected.includes(code), `${attack.name}: ${code}`, { expected: attack.expected })
  }
  t.equal(authenticator.size, 0, 'nothing forged takes a place in the cache')
})

t.test('the attacks fail as well after the good token is in the cache', async t => {
  const authenticator = createAuthenticator()
  await authenticator.authenticate(createForge(environment).genuine())
  for (const attack of all) {
    const code = await answer(authenticator, attack)
    t.ok(code !== 'accepted' && attack.expected.includes(code), attack.name)
  }
  t.equal(authenticator.size, 1)
})

t.test('the attacks can be sent, also against an issuer on loopback', async t => {
  const there = attacks({ ...environment, issuer: 'http://127.0.0.1:3000', audience: 'https://api.example.com' })
  t.equal(new Set(there.map(({ name }) => name)).size, there.length)
  for (const { name, authorization } of there) {
    t.doesNotThrow(() =>
      authorization.forEach(value => validateHeaderValue('authorization', value)), name)
  }
})
