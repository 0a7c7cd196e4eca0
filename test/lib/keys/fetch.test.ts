import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import {
  discoverKeySetUrl, FetchFailure, fetchDocument, MAX_DOCUMENT_BYTES, metadataUrls,
  withoutSecrets, type FetchDocument
} from '../../../lib/keys/index.ts'
import { until } from '../../helpers/server.ts'
import { startIssuer } from './fixtures.ts'

/** The reason of a failure. */
async function failure (work: Promise<unknown>) {
  const error = await work.then(() => undefined, (error: unknown) => error)
  const { reason, status } = error instanceof FetchFailure ? error : { reason: 'none', status: undefined }
  return { reason, status }
}

/** A server that answers with exactly these bytes, and then does no more. */
async function startRaw (t: Test, answer: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('data', () => answer(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

t.test('gets a document, over a connection that is closed afterwards', async t => {
  const issuer = await startIssuer(t)
  t.same(await fetchDocument(issuer.jwksUri, { timeout: 5000 }), issuer.jwks)
  let request = ''
  const url = await startRaw(t, socket => socket.end('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nSet-Cookie: a=b\r\n\r\n{"a":1}'))
  t.same(await fetchDocument(url, { timeout: 5000 }), { a: 1 }, 'any content type, and a body that ends with the connection')
  const spy = createServer(socket => socket.once('data', data => {
    request = String(data)
    socket.end('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull')
  })).listen(0, '127.0.0.1')
  await once(spy, 'listening')
  t.teardown(() => { spy.close() })
  t.equal(await fetchDocument(`http://127.0.0.1:${(spy.address() as AddressInfo).port}/x`, { timeout: 5000 }), null)
  t.match(request, /^GET \/x HTTP\/1.1\r\n/)
  t.match(request, /\r\naccept-encoding: identity\r\n/i)
  t.match(request, /\r\nconnection: close\r\n/i)
  t.notMatch(request, /\r\ncookie:/i)
})

t.test('fails for each fault of a provider, a timeout among them', async t => {
  const issuer = await startIssuer(t)
  const faults = [
    ['hang', 'timeout', undefined],
    ['drip', 'timeout', undefined],
    ['down', 'transport', undefined],
    ['html', 'parse', undefined],
    ['garbage', 'parse', undefined],
    ['redirect', 'redirect', 302],
    [{ status: 503 }, 'status', 503],
    [{ status: 404 }, 'status', 404],
    [{ status: 201 }, 'status', 201]
  ] as const
  for (const [fault, reason, status] of faults) {
    issuer.fail(fault)
    const before = issuer.hits.jwks
    const found = await failure(fetchDocument(issuer.jwksUri, { timeout: reason === 'timeout' ? 150 : 5000 }))
    t.match(found, { reason, status }, JSON.stringify(fault))
    t.ok(issuer.hits.jwks - before <= 1, `${JSON.stringify(fault)}: asked once`)
  }
})

t.test('a body of 64 MB is left after 512 KiB', async t => {
  const issuer = await startIssuer(t)
  issuer.fail('oversize')
  const memory = process.memoryUsage().rss
  t.match(await failure(fetchDocument(issuer.jwksUri, { timeout: 5000 })), { reason: 'oversize' })
  // What the kernel's buffers on both sides had taken already.
  t.ok(issuer.bytesSent < 16 * 1024 * 1024, `${issuer.bytesSent} bytes were sent`)
  t.ok(process.memoryUsage().rss - memory < 32 * 1024 * 1024, 'memory stays bounded')
})

t.test('the limit for the size is exact, and a declared length is believed', async t => {
  const body = (length: number) => `"${'x'.repeat(length - 2)}"`
  const chunked = (text: string) =>
    `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`
  const fits = await startRaw(t, socket => socket.end(chunked(body(MAX_DOCUMENT_BYTES))))
  t.equal(String(await fetchDocument(fits, { timeout: 5000 })).length, MAX_DOCUMENT_BYTES - 2)
  const over = await startRaw(t, socket => socket.end(chunked(body(MAX_DOCUMENT_BYTES + 1))))
  t.match(await failure(fetchDocument(over, { timeout: 5000 })), { reason: 'oversize' })
  const declared = await startRaw(t, socket => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n'))
  t.match(await failure(fetchDocument(declared, { timeout: 5000 })), { reason: 'oversize' })
  const small = await startRaw(t, socket => socket.end(chunked('[1,2,3]')))
  t.match(await failure(fetchDocument(small, { timeout: 5000, maxBytes: 6 })), { reason: 'oversize' })
})

t.test('what is not HTTP, or breaks off, or never ends', async t => {
  const answers: Array<[name: string, bytes: string, end: boolean, reason: string]> = [
    ['not HTTP', 'SSH-2.0-OpenSSH\r\n', false, 'transport'],
    ['closed at once', '', true, 'transport'],
    ['closed in the headers', 'HTTP/1.1 200 OK\r\nContent-', true, 'transport'],
    ['closed in the body', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n[1', true, 'transport'],
    ['closed in a chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n[1', true, 'transport'],
    ['silent in the headers', 'HTTP/1.1 200 OK\r\n', false, 'timeout'],
    ['silent in the body', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n[1', false, 'timeout'],
    ['only 1xx', 'HTTP/1.1 103 Early Hints\r\n\r\n', false, 'timeout'],
    ['protocol switch', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n', false, 'transport'],
    ['compressed although identity was asked for',
      'HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00', false, 'parse'],
    ['not UTF-8', 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"\xff"', false, 'parse'],
    ['nothing', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', false, 'parse']
  ]
  for (const [name, bytes, end, reason] of answers) {
    const url = await startRaw(t, socket => end ? socket.end(bytes, 'latin1') : socket.write(bytes, 'latin1'))
    t.match(await failure(fetchDocument(url, { timeout: reason === 'timeout' ? 150 : 5000 })), { reason }, name)
  }
  t.match(await failure(fetchDocument('http://127.0.0.1:1/', { timeout: 5000 })), { reason: 'transport' }, 'nobody listens')
  t.match(await failure(fetchDocument('https://127.0.0.1:1/', { timeout: 5000 })), { reason: 'transport' }, 'nobody listens')
  t.match(await failure(fetchDocument('no url', { timeout: 5000 })), { reason: 'url' })
  const plain = await startIssuer(t)
  t.match(await failure(fetchDocument(plain.jwksUri.replace('http:', 'https:'), { timeout: 5000 })), { reason: 'transport' },
    'no TLS there')
})

t.test('a signal ends it, with the reason that the signal has', async t => {
  const issuer = await startIssuer(t)
  issuer.fail('hang')
  const controller = new AbortController()
  const running = failure(fetchDocument(issuer.jwksUri, { timeout: 5000, signal: controller.signal }))
  controller.abort(new FetchFailure('issuer'))
  t.match(await running, { reason: 'issuer' })
  t.match(await failure(fetchDocument(issuer.jwksUri, { timeout: 5000, signal: AbortSignal.abort() })), { reason: 'transport' },
    'aborted before')
})

t.test('a connection that is given up is closed', async t => {
  let state = 'never opened'
  const url = await startRaw(t, socket => {
    state = 'open'
    socket.once('close', () => { state = 'closed' })
    socket.write('HTTP/1.1 200 OK\r\n')
  })
  t.match(await failure(fetchDocument(url, { timeout: 1000 })), { reason: 'timeout' })
  await until(() => state === 'closed', 'the end of the connection')
  t.equal(state, 'closed')
})

t.test('metadata addresses', async t => {
  t.same(metadataUrls('https://a.example'), ['https://a.example/.well-known/openid-configuration',
    'https://a.example/.well-known/oauth-authorization-server'])
  t.same(metadataUrls('https://a.example/'), ['https://a.example/.well-known/openid-configuration',
    'https://a.example/.well-known/oauth-authorization-server'])
  t.same(metadataUrls('https://a.example:8443/realms/x/'),
    ['https://a.example:8443/realms/x/.well-known/openid-configuration',
      'https://a.example:8443/.well-known/oauth-authorization-server/realms/x'])
})

t.test('discovers by OpenID Connect, and by RFC 8414 where that is not offered', async t => {
  const limits = { fetch: fetchDocument, timeout: 5000, allowLoopback: true }
  for (const path of ['', '/', '/realms/x', '/realms/x/']) {
    const oidc = await startIssuer(t, { path })
    t.equal(await discoverKeySetUrl(oidc.issuer, limits), oidc.jwksUri, `OIDC ${path}`)
    const oauth = await startIssuer(t, { path, discovery: 'oauth-authorization-server' })
    t.equal(await discoverKeySetUrl(oauth.issuer, limits), oauth.jwksUri, `RFC 8414 ${path}`)
  }
})

t.test('refuses metadata that names another issuer or an unsafe address', async t => {
  const metadata = { issuer: 'https://a.example', jwks_uri: 'https://keys.example/jwks' }
  const discover = (document: unknown, { issuer = 'https://a.example', allowLoopback = false } = {}) => {
    const fetch: FetchDocument = async () => document
    return failure(discoverKeySetUrl(issuer, { fetch, timeout: 1, allowLoopback }))
  }
  t.match(await discover(metadata), { reason: 'none' }, 'keys may be on another host')
  for (const issuer of ['https://a.example/', 'https://A.example', 'https://a.example.evil', '', null, ['https://a.example'], undefined]) {
    t.match(await discover({ ...metadata, issuer }), { reason: 'issuer' }, String(issuer))
  }
  t.match(await discover(metadata, { issuer: 'https://a.example/' }), { reason: 'issuer' }, 'a trailing slash counts')
  t.match(await discover({ issuer: 'https://a.example' }), { reason: 'metadata' })
  t.match(await discover({ ...metadata, jwks_uri: ['https://keys.example/jwks'] }), { reason: 'metadata' })
  for (const url of ['http://keys.example/jwks', 'file:///etc/passwd', 'http://127.0.0.1/jwks', '/jwks', 'https://u:p@keys.example/']) {
    t.match(await discover({ ...metadata, jwks_uri: url }), { reason: 'url' }, url)
  }
  t.match(await discover({ ...metadata, jwks_uri: 'http://127.0.0.1/jwks' }, { allowLoopback: true }), { reason: 'none' })
  t.match(await discover('text'), { reason: 'parse' })
  t.match(await discover(metadata, { issuer: 'http://a.example' }), { reason: 'url' }, 'an issuer over http is not even asked')
})

t.test('asks for RFC 8414 metadata only where the server is well', async t => {
  const asked = async (failure: FetchFailure) => {
    const urls: string[] = []
    const fetch: FetchDocument = async url => {
      urls.push(url)
      throw failure
    }
    await t.rejects(discoverKeySetUrl('https://a.example', { fetch, timeout: 1, allowLoopback: false }))
    return urls.length
  }
  t.equal(await asked(new FetchFailure('status', { status: 404 })), 2)
  t.equal(await asked(new FetchFailure('parse')), 2)
  t.equal(await asked(new FetchFailure('redirect', { status: 302 })), 2)
  t.equal(await asked(new FetchFailure('status', { status: 503 })), 1)
  t.equal(await asked(new FetchFailure('timeout')), 1)
  t.equal(await asked(new FetchFailure('transport')), 1)
})

t.test('17.7: no part of a password is left of an address, however it breaks the address apart', async t => {
  const whole = {
    'https://user:pass@host/a?b=c#d': 'https://host/a',
    'https://u:p@ss/w#rd@host/a': 'https://host/a',
    'https://:pass/w@host/a': 'https://host/a',
    'https://:pass#w@host': 'https://host',
    'https://host:8443/login?hint=a@b': 'https://host:8443/login',
    'https://[::1]:8443/a@b': 'https://[::1]:8443/a@b',
    'https://host/@me': 'https://host/@me'
  }
  for (const [url, shown] of Object.entries(whole)) t.equal(withoutSecrets(url), shown, url)
  // A regular expression that looks for `//…@` would try each of these slashes: minutes for what a provider may answer.
  t.equal(withoutSecrets(`https://a:b${'/'.repeat(1_000_000)}`).length, 'https://a:b'.length + 1_000_000)
})
