import t from 'tap'
import { createApiKey } from '../../lib/api-keys/index.ts'
import { createRefreshTokens } from '../../plugins/index.ts'
import { listen, secured, sendRaw, startIssuer } from '../helpers/server.ts'

// Requirements of the threat model that no other test shows.
const issuer = await startIssuer(t)
const reached: string[] = []
const { app } = await secured(t, issuer, {
  routes: app => {
    app.get('/open', { config: { public: true } }, async ({ method }) => { reached.push(method); return '' })
    app.post('/open', { config: { public: true } }, async ({ method }) => { reached.push(method); return '' })
    app.get('/closed', { config: { authenticated: true } }, async () => '')
    app.get('/fails', { config: { public: true } }, async () => { throw new Error('no') })
    app.get('/once', { config: { public: true, rateLimit: { limit: 1, window: '1 minute' } } }, async () => '')
  }
})
const url = await listen(app)
const host = 'Host: api.example.com'
const send = (line: string, ...headers: string[]) => sendRaw(url, `${line} HTTP/1.1`, host, 'Connection: close', ...headers, '', '')
const statusOf = (answer: string) => Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1])

t.test('19: TRACE, TRACK, CONNECT and methods that nobody knows reach no handler, and nothing is sent back', async t => {
  for (const method of ['TRACE', 'TRACK', 'CONNECT', 'BREW']) {
    const answer = await send(`${method} /open`, 'X-Secret: canary')
    t.notMatch(answer, 'canary', method)
    t.ok(answer === '' || statusOf(answer) >= 400, `${method}: ${answer.split('\r\n', 1)[0]}`)
  }
  t.strictSame(reached, [])
})

t.test('19: two lengths, a length beside chunks, and chunks that are none are refused, and no second request is seen', async t => {
  const hidden = `GET /open HTTP/1.1\r\n${host}\r\n\r\n`
  const framings = [
    ['Content-Length: 0', `Content-Length: ${hidden.length}`],
    ['Content-Length: 4', 'Transfer-Encoding: chunked'],
    ['Transfer-Encoding: chunked, identity'],
    ['Transfer-Encoding : chunked'],
    ['Transfer-Encoding: xchunked']
  ]
  for (const headers of framings) {
    const answer = await sendRaw(url, 'POST /open HTTP/1.1', host, 'Content-Type: text/plain', ...headers, '', `0\r\n\r\n${hidden}`)
    t.equal(statusOf(answer), 400, headers.join(', '))
    t.equal(answer.match(/HTTP\/1\.1 \d/g)?.length, 1, 'one answer')
  }
  t.strictSame(reached, [])
})

t.test('19: every refusal that has a body says which media type it is', async t => {
  await fetch(`${url}/once`)
  const refused = [['GET', '/closed'],
    ['DELETE', '/closed'], ['GET', '/nowhere'], ['GET', '/fails'], ['GET', '/once'], ['GET', '/%zz']] as const
  for (const [method, path] of refused) {
    const answer = await fetch(url + path, { method })
    t.ok(answer.status >= 400, `${path}: ${answer.status}`)
    t.match(answer.headers.get('content-type'), /^application\/problem\+json/, `${method} ${path}`)
    t.ok(await answer.json())
  }
  t.match(await send('GET /open', 'broken header'), /\r\ncontent-type: application\/problem\+json/i)
})

t.test('19: secrets that the suite makes have at least 128 random bits, and are kept as SHA-256', async t => {
  const tokens = createRefreshTokens()
  const issued = await Promise.all(Array.from({ length: 200 }, () => tokens.issue({ subject: 'alice' })))
  const keys = Array.from({ length: 200 }, () => createApiKey('shop'))
  const secrets = [...issued.map(({ token }) => token.split('.')[1] ?? ''), ...keys.map(({ key }) => key.slice(18, -6))]
  t.equal(new Set(secrets).size, 400, 'no two are equal')
  // 43 characters of base64url, or 32 of 62 letters and digits.
  for (const secret of secrets) t.ok(secret.length * Math.log2(secret.length === 43 ? 64 : 62) >= 128)
  for (const { hash } of keys) t.match(hash, /^sha256:[0-9a-f]{64}$/)
})
