import { createPublicKey, verify, type JsonWebKey } from 'node:crypto'
import t, { type Test } from 'tap'
import { createTestIssuer, type IssuerFault, type TestAlgorithm, type TestIssuer, type TestIssuerOptions } from '../../testing/index.ts'

async function start (t: Test, options?: TestIssuerOptions): Promise<TestIssuer> {
  const issuer = await createTestIssuer(options)
  t.teardown(() => issuer[Symbol.asyncDispose]())
  return issuer
}

function decode (token: string) {
  const [header = '', payload = '', signature = ''] = token.split('.')
  const json = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString())
  return {
    header: json(header),
    claims: json(payload),
    input: Buffer.from(`${header}.${payload}`),
    signature: Buffer.from(signature, 'base64url')
  }
}

async function get (url: string, init: RequestInit = {}) {
  const response = await fetch(url, init)
  return { status: response.status, body: await response.text() }
}

t.test('publishes metadata and the keys that its tokens are signed with', async t => {
  const issuer = await start(t, { alg: 'ES256', path: '/realms/test' })
  const metadata = JSON.parse((await get(`${issuer.issuer}/.well-known/openid-configuration`)).body)
  t.equal(metadata.issuer, issuer.issuer)
  t.equal(metadata.jwks_uri, issuer.jwksUri)
  const { keys } = JSON.parse((await get(issuer.jwksUri)).body)
  const { header, input, signature } = decode(issuer.sign())
  t.equal(header.kid, keys[0].kid)
  t.ok(verify('sha256', input, { key: createPublicKey({ key: keys[0], format: 'jwk' }), dsaEncoding: 'ieee-p1363' }, signature))
  t.same(issuer.hits, { discovery: 1, jwks: 1, introspection: 0 })
})

t.test('signs an RFC 9068 token; claims and header can be changed and left out', async t => {
  const issuer = await start(t, { alg: 'EdDSA', audience: 'api://orders', claims: { tenant: 'a' } })
  const { header, claims } = decode(issuer.sign({ scope: 'api.read', jti: undefined, sub: 'alice' }))
  t.same(header, { alg: 'EdDSA', typ: 'at+jwt', kid: 'key-1' })
  t.match(claims, { iss: issuer.issuer, aud: 'api://orders', client_id: 'test-client', sub: 'alice', scope: 'api.read', tenant: 'a' })
  t.equal(claims.exp - claims.iat, 300)
  t.notOk('jti' in claims)
  const other = decode(issuer.sign({}, { typ: 'JWT', header: { kid: undefined, crit: ['x'] } }))
  t.same(other.header, { alg: 'EdDSA', typ: 'JWT', crit: ['x'] })
})

t.test('every algorithm verifies with the published key', async t => {
  const digests: Record<TestAlgorithm, string | null> = { RS256: 'sha256', PS256: 'sha256', ES256: 'sha256', ES384: 'sha384', EdDSA: null }
  const options: Partial<Record<TestAlgorithm, object>> = {
    PS256: { padding: 6, saltLength: 32 },
    ES256: { dsaEncoding: 'ieee-p1363' },
    ES384: { dsaEncoding: 'ieee-p1363' }
  }
  const issuer = await start(t, { alg: 'ES256' })
  for (const alg of Object.keys(digests) as TestAlgorithm[]) {
    const { header, input, signature } = decode(issuer.sign({}, { alg }))
    const jwk: JsonWebKey | undefined = issuer.jwks.keys.find(({ kid }) => kid === header.kid)
    t.equal(jwk?.alg, alg)
    t.ok(verify(digests[alg], input, { key: createPublicKey({ key: jwk ?? {}, format: 'jwk' }), ...options[alg] }, signature), alg)
  }
  t.equal(decode(issuer.sign()).header.kid, 'key-1', 'a key made for one token does not become the current one')
})

t.test('rotate, remove, publish', async t => {
  const issuer = await start(t, { alg: 'ES256' })
  t.equal(issuer.rotate({ alg: 'ES384' }), 'key-2')
  t.equal(decode(issuer.sign()).header.alg, 'ES384')
  issuer.remove('key-2')
  t.same(issuer.jwks.keys.map(({ kid }) => kid), ['key-1'])
  t.equal(decode(issuer.sign()).header.kid, 'key-2', 'a removed key still signs')
  t.equal(decode(issuer.sign({}, { kid: 'key-1' })).header.kid, 'key-1')
  t.throws(() => issuer.sign({}, { kid: 'never' }))
  issuer.publish({ keys: [] })
  t.equal((await get(issuer.jwksUri)).body, '{"keys":[]}')
  issuer.publish()
  t.match((await get(issuer.jwksUri)).body, 'key-1')
})

t.test('two issuers that live at the same time share no key', async t => {
  const one = await start(t)
  const other = await start(t)
  t.not(one.jwks.keys[0]?.n, other.jwks.keys[0]?.n)
})

t.test('fails in every way it offers, and recovers', async t => {
  const issuer = await start(t, { alg: 'ES256' })
  const url = issuer.jwksUri
  const faults: Array<[IssuerFault, (answer: { status: number, body: string }) => boolean]> = [
    ['html', ({ status, body }) => status === 200 && body.startsWith('<!doctype')],
    ['garbage', ({ status, body }) => status === 200 && body.startsWith('{"keys"') && !body.endsWith('}')],
    ['empty-set', ({ status, body }) => status === 200 && body === '{"keys":[]}'],
    ['redirect', ({ status, body }) => status === 200 && body === JSON.stringify(issuer.jwks)],
    [{ status: 503 }, ({ status }) => status === 503],
    [{ oversize: 1_000_000 }, ({ status, body }) => status === 200 && body.length > 1_000_000 && JSON.parse(body).keys.length === 1]
  ]
  for (const [fault, holds] of faults) {
    issuer.fail(fault)
    t.ok(holds(await get(url)), JSON.stringify(fault))
  }
  issuer.fail('redirect')
  t.equal((await get(url, { redirect: 'manual' })).status, 302)
  for (const fault of ['hang', 'drip'] as const) {
    issuer.fail(fault)
    await t.rejects(get(url, { signal: AbortSignal.timeout(60) }), fault)
  }
  issuer.down()
  await t.rejects(get(url))
  issuer.up()
  t.equal((await get(url)).status, 200)
})

t.test('one document can fail alone, and answers can be late', async t => {
  const issuer = await start(t, { alg: 'ES256', path: '/t/', discovery: 'oauth-authorization-server' })
  const metadata = issuer.jwksUri.replace('/t/jwks', '/.well-known/oauth-authorization-server/t')
  issuer.fail({ status: 500 }, 'discovery')
  t.equal((await get(metadata)).status, 500)
  t.equal((await get(issuer.jwksUri)).status, 200)
  issuer.up()
  issuer.metadata({ issuer: 'https://other.example' })
  t.equal(JSON.parse((await get(metadata)).body).issuer, 'https://other.example')
  issuer.slow(40)
  const [before, late] = [issuer.hits.jwks, get(issuer.jwksUri)]
  while (issuer.hits.jwks === before) await new Promise(resolve => setImmediate(resolve))
  // An answer that had been given at once would be good: nothing runs between its request and this line.
  issuer.fail({ status: 500 })
  t.equal((await late).status, 500)
})

t.test('close ends hanging connections', async t => {
  const issuer = await createTestIssuer({ alg: 'ES256' })
  issuer.fail('hang')
  const hanging = get(issuer.jwksUri).then(() => 'answered', () => 'ended')
  while (issuer.hits.jwks === 0) await new Promise(resolve => setImmediate(resolve))
  await issuer.close()
  t.equal(await hanging, 'ended')
})

t.test('answers its own client about opaque tokens, until they end or are withdrawn', async t => {
  const issuer = await start(t, { path: '/realms/test' })
  const { introspection_endpoint: url } = JSON.parse((await get(`${issuer.issuer}/.well-known/openid-configuration`)).body)
  const { id, secret } = issuer.introspection.client
  const look = async (token: string, credentials = `${id}:${secret}`) => {
    const headers = { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` }
    const { status, body } = await get(url, { method: 'POST', headers, body: new URLSearchParams({ token }) })
    return status === 200 ? JSON.parse(body) : status
  }
  const token = issuer.opaque({ scope: 'a' })
  t.match(await look(token), { active: true, iss: issuer.issuer, aud: issuer.audience, sub: 'test-user', scope: 'a', token_type: 'Bearer' })
  t.same(await look(issuer.opaque({ exp: 1 })), { active: false })
  t.same(await look('invented'), { active: false })
  t.equal(await look(token, `${id}:wrong`), 401)
  issuer.revoke(token)
  t.same(await look(token), { active: false })
  issuer.fail({ status: 503 }, 'introspection')
  t.equal(await look(token), 503)
  t.equal(issuer.hits.introspection, 6)
})
