import { createPrivateKey, createPublicKey } from 'node:crypto'
import { once } from 'node:events'
import http, { type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { ordersApp } from '../../examples/orders/app.ts'
import { startProvider } from '../../examples/orders/provider.ts'
import { signingKeys } from '../../examples/orders/signing-keys.ts'
import { answers, type AnswerCode } from '../../lib/http/index.ts'
import { attacks } from '../fixtures/attacks.ts'

const audience = 'api://orders'

/** Node's own client: `fetch` would join two Authorization headers into one. */
async function get (url: string, authorization: readonly string[]): Promise<{ response: IncomingMessage, body: string }> {
  const { host } = new URL(url)
  const request = http.get(url, { agent: false, headers: ['host', host, ...authorization.flatMap(value => ['authorization', value])] })
  const [response] = await once(request, 'response') as [IncomingMessage]
  return { response, body: await text(response) }
}

t.test("the attack table over HTTP, with the demo's provider: each 401 or 400 with its code, none accepted", async t => {
  const keys = await signingKeys(1)
  const [rsa] = keys
  if (rsa === undefined) throw new Error('no key')
  const provider = await startProvider({ audience, keys })
  t.teardown(() => provider.close())
  const events: string[] = []
  const app = await ordersApp({
    environment: 'development',
    auth: { issuer: provider.issuer, audience },
    rateLimit: { perAddress: false, failures: false },
    audit: { sink: event => { events.push(event.event) } }
  })
  t.teardown(() => app.close())
  const url = `${await app.listen({ port: 0, host: '127.0.0.1' })}/orders`
  const good = `Bearer ${await provider.token({ scope: 'api.read' })}`
  t.equal((await get(url, [good])).response.statusCode, 200, 'a token of the provider itself is accepted')

  const privateKey = createPrivateKey({ key: rsa, format: 'jwk' })
  const table = attacks({
    issuer: provider.issuer,
    audience,
    kid: rsa.kid,
    privateKey,
    publicKey: createPublicKey(privateKey),
    now: Date.now()
  })
  t.ok(table.length >= 120, `${table.length} attacks`)
  for (const { name, authorization, query, expected } of table) {
    const { response, body } = await get(url + query, authorization)
    const code = JSON.parse(body).code as AnswerCode
    const right = expected.includes(code) && response.statusCode === answers[code].status && [400, 401].includes(response.statusCode)
    t.ok(right, `${name}: ${response.statusCode} ${code}`, { expected })
    t.match(response.headers['www-authenticate'], /^Bearer/, `${name}: the challenge`)
  }
  t.equal((await get(url, [good])).response.statusCode, 200, 'the good token is still accepted')
  t.equal(events.filter(event => event === 'api_access').length, 2, 'and nothing else was')
})
