import { generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { IntrospectionClient, type IntrospectionOptions } from '../../../lib/introspection/index.ts'
import { FetchFailure } from '../../../lib/keys/index.ts'

type Parts = ConstructorParameters<typeof IntrospectionClient>[0]

const issuer = 'https://login.example.com'
const client = { id: 'api', secret: 'secret' }
const reply = (value: object) => ({ type: 'application/json', body: Buffer.from(JSON.stringify(value)) })

/** A client whose requests go nowhere. */
function start (parts: Partial<Parts> = {}, options: Partial<IntrospectionOptions> = {}) {
  const asked: string[] = []
  const exchange: Parts['exchange'] = async (url, given) => {
    asked.push(url)
    return await (parts.exchange?.(url, given) ?? reply({ active: true }))
  }
  const aliases = { introspection_endpoint: `${issuer}/mtls` }
  const metadata = { issuer, introspection_endpoint: `${issuer}/introspect`, mtls_endpoint_aliases: aliases }
  const given = { issuer, options: { client, ...options }, fetch: async () => metadata, allowLoopback: false, ...parts, exchange }
  return { client: new IntrospectionClient(given), asked }
}

const reasonOf = (work: Promise<unknown>) => work.then(() => 'none', (error: { reason: string }) => error.reason)

t.test('no more than 64 look-ups run at once; the next one is refused at once, and later served', async t => {
  const waiting: Array<() => void> = []
  const { client } = start({ exchange: () => new Promise(resolve => waiting.push(() => resolve(reply({ active: true })))) },
    { endpoint: issuer })
  const running = Array.from({ length: 64 }, (_, index) => client.ask(`token-${index}`))
  t.equal(await reasonOf(client.ask('one-more')), 'busy')
  for (const answer of waiting.splice(0)) answer()
  await Promise.all(running)
  const later = client.ask('one-more')
  await new Promise(resolve => setImmediate(resolve))
  for (const answer of waiting) answer()
  t.same(await later, { active: true })
})

t.test('certificates are shown where the metadata says (RFC 8705 §5), secrets at the usual place', async t => {
  const usual = start()
  await usual.client.ask('a')
  t.strictSame(usual.asked, [`${issuer}/introspect`])
  const privateKey = generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()
  const other = start({}, { client: { id: 'api', certificate: 'a certificate', privateKey } })
  await other.client.ask('a')
  t.strictSame(other.asked, [`${issuer}/mtls`])
})

t.test('the breaker opens after five failures in a row, probes once a second, and closes with a success', async t => {
  let now = 0
  let down = true
  const { client, asked } = start({
    elapsed: () => now,
    exchange: async () => {
      if (down) throw new FetchFailure('transport')
      return reply({ active: true })
    }
  }, { endpoint: issuer })
  for (let count = 0; count < 5; count++) t.equal(await reasonOf(client.ask('a')), 'transport')
  t.equal(await reasonOf(client.ask('a')), 'open')
  now += 1300
  t.equal(await reasonOf(client.ask('a')), 'transport', 'a probe')
  t.equal(await reasonOf(client.ask('a')), 'open', 'and no second one')
  down = false
  now += 1300
  t.equal(await reasonOf(client.ask('a')), 'none')
  t.equal(await reasonOf(client.ask('a')), 'none')
  t.equal(asked.length, 8)
  down = true
  for (let count = 0; count < 4; count++) t.equal(await reasonOf(client.ask('a')), 'transport', 'counted from the start')
  down = false
  t.equal(await reasonOf(client.ask('a')), 'none')
})

t.test('an address that was found is looked up again when the endpoint is gone', async t => {
  let found = `${issuer}/old`
  const { client, asked } = start({
    fetch: async () => ({ issuer, introspection_endpoint: found }),
    exchange: async url => {
      if (url.endsWith('/old')) throw new FetchFailure('status', { status: 404 })
      return reply({ active: true })
    }
  })
  found = `${issuer}/old`
  t.equal(await reasonOf(client.ask('a')), 'status')
  found = `${issuer}/new`
  t.equal(await reasonOf(client.ask('a')), 'none')
  t.strictSame(asked, [`${issuer}/old`, `${issuer}/new`])
})

t.test('metadata that could not be used once is asked for again, whatever was wrong with it', async t => {
  for (const failure of [new FetchFailure('parse'), new FetchFailure('oversize'), new FetchFailure('status', { status: 403 })]) {
    let down = true
    const { client } = start({
      fetch: async () => {
        if (down) throw failure
        return { issuer, introspection_endpoint: `${issuer}/introspect` }
      }
    })
    t.equal(await reasonOf(client.ask('a')), failure.reason)
    down = false
    t.equal(await reasonOf(client.ask('a')), 'none', failure.reason)
  }
})
