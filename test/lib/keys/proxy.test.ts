import http from 'node:http'
import https from 'node:https'
import { connect } from 'node:net'
import type { Duplex } from 'node:stream'
import t, { type Test } from 'tap'
import { Problems } from '../../../lib/config/index.ts'
import { checkProxyVariable, fetchOver, validateKeys, type FetchDocument } from '../../../lib/keys/index.ts'
import { listenBare, until } from '../../helpers/server.ts'
import { authority, Certificates } from '../server/certificates.ts'

const certificates = new Certificates(t.testdir({}))
const company = certificates.issue({ name: 'Company CA', extensions: authority })
const issue = (name: string) => certificates.issue({
  name,
  issuer: company,
  extensions: ['basicConstraints=critical,CA:FALSE', `subjectAltName=DNS:${name}`]
})
const provider = issue('login.example.test')
const URL_OF_KEYS = 'https://login.example.test/jwks'
const jwks = { keys: [] }

type Tunnel = (client: Duplex, head: Buffer) => void

const startProvider = (t: Test, { cert, key } = provider,
  answer: http.RequestListener = (_request, response) => { response.end(JSON.stringify(jwks)) }) =>
  listenBare(t, https.createServer({ cert, key }, answer))

/** Passes bytes on to this port, whatever name is asked for. */
const passTo = (port: number): Tunnel => client => {
  const upstream = connect(port, '127.0.0.1')
  upstream.on('error', () => client.destroy())
  client.on('error', () => upstream.destroy()).on('close', () => upstream.destroy())
  client.write('HTTP/1.1 200 Connection established\r\n\r\n')
  client.pipe(upstream).pipe(client)
}

/** A proxy that knows CONNECT alone, and keeps what it was asked. */
async function startProxy (t: Test, tunnel: Tunnel, { secured = false } = {}) {
  const asked: { url: string | undefined, host: string | undefined, credentials: string | undefined }[] = []
  const { cert, key } = issue('proxy.example.test')
  const server = secured ? https.createServer({ cert, key }) : http.createServer()
  server.on('request', (_request, response) => { response.writeHead(400).end() })
  server.on('connect', ({ url, headers }, client: Duplex, head: Buffer) => {
    asked.push({ url, host: headers.host, credentials: headers['proxy-authorization'] })
    // Sockets of an http server stay open on their side until they are told.
    tunnel(client.on('error', () => {}).on('end', () => client.end()), head)
    if (client.readableFlowing === null) client.resume() // or its end would not be seen
  })
  const port = await listenBare(t, server)
  return { asked, url: `http://127.0.0.1:${port}`, port, server }
}

const get = (fetch: FetchDocument, url = URL_OF_KEYS, timeout = 5000) => fetch(url, { timeout })
const failure = (document: Promise<unknown>) => document.then(() => ({ reason: 'none' }),
  (error: { reason: string, status?: number }) => error)

t.test('15 A6: keys come through a CONNECT proxy, with TLS up to the provider', async t => {
  const proxy = await startProxy(t, passTo(await startProvider(t)))
  t.strictSame(await get(fetchOver({ proxy: proxy.url, ca: company.cert })), jwks)
  t.strictSame(await get(fetchOver({ proxy: proxy.url.replace('//', '//us%40er:p%3Ass@'), ca: company.certFile }), `${URL_OF_KEYS}?v=2`),
    jwks, 'an authority from a file')
  const [first, second] = proxy.asked
  t.strictSame(first, { url: 'login.example.test:443', host: 'login.example.test:443', credentials: undefined })
  t.equal(second?.credentials, `Basic ${Buffer.from('us@er:p:ss').toString('base64')}`)
})

t.test('15 A6: a proxy that plays the provider is found out', async t => {
  const honest = await startProxy(t, passTo(await startProvider(t)))
  t.match(await failure(get(fetchOver({ proxy: honest.url }))), { reason: 'transport' }, 'an authority that Node does not know')
  const other = await startProxy(t, passTo(await startProvider(t, issue('evil.example.test'))))
  t.match(await failure(get(fetchOver({ proxy: other.url, ca: company.cert }))), { reason: 'transport' }, 'a certificate for another name')
  const foreign = certificates.issue({ name: 'login.example.test', extensions: ['subjectAltName=DNS:login.example.test'] })
  const forging = await startProxy(t, passTo(await startProvider(t, foreign)))
  t.match(await failure(get(fetchOver({ proxy: forging.url, ca: company.cert }))), { reason: 'transport' }, 'a certificate of its own')
  const plain = await startProxy(t, client => { client.end('HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}') })
  t.match(await failure(get(fetchOver({ proxy: plain.url, ca: company.cert }))), { reason: 'proxy' }, 'an answer in the clear')
})

t.test('15 A6: a proxy that is reached over TLS', async t => {
  const { port } = await startProxy(t, passTo(await startProvider(t)), { secured: true })
  t.match(await failure(get(fetchOver({ proxy: `https://127.0.0.1:${port}`, ca: company.cert }))), { reason: 'proxy' },
    'its certificate is for another name')
  const { cert, key } = certificates.issue({ issuer: company })
  const upstream = passTo(await startProvider(t))
  const server = https.createServer({ cert, key }).on('connect', (_request, client: Duplex, head: Buffer) => upstream(client, head))
  t.strictSame(await get(fetchOver({ proxy: `https://127.0.0.1:${await listenBare(t, server)}`, ca: company.cert })), jwks)
})

t.test('15 A6: the variables HTTPS_PROXY and NO_PROXY, and what goes before them', async t => {
  const proxy = await startProxy(t, client => { client.end('HTTP/1.1 403 Forbidden\r\n\r\n') })
  const host = proxy.url.slice('http://'.length)
  const asks = async (...parts: Parameters<typeof fetchOver>) => {
    const before = proxy.asked.length
    await failure(get(fetchOver(...parts), 'https://login.invalid/jwks'))
    return proxy.asked.length > before
  }
  t.equal(await asks({}, { HTTPS_PROXY: proxy.url }), true)
  t.equal(await asks({}, { https_proxy: host }), true, 'without a scheme')
  t.equal(await asks({}, { https_proxy: '', HTTPS_PROXY: proxy.url }), true)
  t.equal(await asks({}, { HTTPS_PROXY: proxy.url, NO_PROXY: 'other.example,.invalid' }), false)
  t.equal(await asks({ proxy: proxy.url }, { NO_PROXY: '*' }), true, 'the option is meant for this issuer')
  t.equal(await asks({ proxy: false }, { HTTPS_PROXY: proxy.url }), false)
  t.equal(await asks({}, { HTTP_PROXY: proxy.url, ALL_PROXY: proxy.url }), false)
  const direct = await listenBare(t, http.createServer((_request, response) => { response.end('{"a":1}') }))
  t.strictSame(await get(fetchOver({ proxy: proxy.url }), `http://127.0.0.1:${direct}/`), { a: 1 },
    'http never leaves this machine by way of a proxy')
})

t.test('15 A6: every failure of a proxy is bounded, and leaves nothing open', async t => {
  const upstream = passTo(await startProvider(t))
  const cases: ReadonlyArray<readonly [what: string, tunnel: Tunnel, expected: object]> = [
    ['407', client => { client.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n') }, { reason: 'proxy', status: 407 }],
    ['502', client => { client.end('HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\n\r\nno!') }, { reason: 'proxy', status: 502 }],
    ['a redirect', client => { client.end('HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\n\r\n') }, { reason: 'proxy', status: 302 }],
    ['closed at once', client => { client.destroy() }, { reason: 'proxy' }],
    ['not HTTP', client => { client.write('SSH-2.0-OpenSSH\r\n') }, { reason: 'proxy' }],
    ['endless headers', client => { client.write(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}`) }, { reason: 'proxy' }],
    ['silent', () => {}, { reason: 'timeout' }],
    ['silent after the tunnel stands', client => { client.write('HTTP/1.1 200 OK\r\n\r\n') }, { reason: 'timeout' }],
    ['closed after the tunnel stands', client => { client.end('HTTP/1.1 200 OK\r\n\r\n') }, { reason: 'transport' }],
    ['garbage in the tunnel', client => {
      client.write('HTTP/1.1 200 OK\r\n\r\n'); client.once('data',
        () => client.write('garbage, and no TLS'))
    }, { reason: 'transport' }],
    ['cut in the handshake', (client, head) => { upstream(client, head); client.once('data', () => client.destroy()) },
      { reason: 'transport' }]
  ]
  for (const [what, tunnel, expected] of cases) {
    const { url, server } = await startProxy(t, tunnel)
    let state = 'never opened'
    server.once('connection', (socket: Duplex) => {
      state = 'open'
      socket.once('close', () => { state = 'closed' })
    })
    const timeout = 'reason' in expected && expected.reason === 'timeout' ? 1000 : 5000
    t.match(await failure(get(fetchOver({ proxy: url, ca: company.cert }), URL_OF_KEYS, timeout)), expected, what)
    await until(() => state === 'closed', `${what}: the end of the connection`)
  }
  t.match(await failure(get(fetchOver({ proxy: 'http://127.0.0.1:1' }))), { reason: 'proxy' }, 'nobody listens')
})

t.test('15 A6: what the provider sends through a tunnel has the same limits', async t => {
  const answers: ReadonlyArray<readonly [http.RequestListener, object]> = [
    [(_request, response) => { response.writeHead(302, { location: 'http://127.0.0.1/' }).end() }, { reason: 'redirect' }],
    [(_request, response) => { response.end('x'.repeat(600_000)) }, { reason: 'oversize' }],
    [(_request, response) => { response.end('<html>') }, { reason: 'parse' }],
    [() => {}, { reason: 'timeout' }]
  ]
  for (const [answer, expected] of answers) {
    const proxy = await startProxy(t, passTo(await startProvider(t, provider, answer)))
    const timeout = JSON.stringify(expected).includes('timeout') ? 300 : 5000
    t.match(await failure(get(fetchOver({ proxy: proxy.url, ca: company.cert }), URL_OF_KEYS, timeout)), expected)
  }
})

t.test('15 A6: `ca` counts without a proxy too', async t => {
  const { cert, key } = certificates.issue({ issuer: company })
  const url = `https://127.0.0.1:${await startProvider(t, { ...provider, cert, key })}/jwks`
  t.strictSame(await get(fetchOver({ ca: company.cert }), url), jwks)
  t.match(await failure(get(fetchOver({}), url)), { reason: 'transport' })
})

t.test('15 A6: a proxy or an authority that cannot be used stops the boot, and no password is shown', async t => {
  const told = (check: (problems: Problems) => void) => {
    const problems = new Problems()
    check(problems)
    t.notMatch(JSON.stringify(problems.list()), /secret/)
    return problems.list().map(({ code, path }) => `${code} ${path}`)
  }
  for (const url of ['socks5://u:secret@proxy:1080', 'proxy', 'http://', 'http://u:secret%zz@proxy:3128']) {
    t.strictSame(told(problems => validateKeys({ proxy: url }, 'production', 'keys', problems)), ['SECURE_API_URL_INVALID keys.proxy'], url)
  }
  t.strictSame(told(problems => checkProxyVariable(problems, { HTTPS_PROXY: 'socks5://u:secret@proxy:1080' })),
    ['SECURE_API_URL_INVALID HTTPS_PROXY'])
  t.strictSame(told(problems => checkProxyVariable(problems, { https_proxy: 'proxy.example.com:3128' })), [])
  t.strictSame(told(problems => checkProxyVariable(problems, {})), [])
  for (const ca of ['/does/not/exist.pem', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----', company.key]) {
    t.strictSame(told(problems => validateKeys({ ca }, 'production', 'keys', problems)), ['SECURE_API_OPTION_VALUE keys.ca'])
  }
  t.strictSame(told(problems => validateKeys({ ca: `${company.cert}\n${provider.cert}` }, 'production', 'keys', problems)), [])
})
