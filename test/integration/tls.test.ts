import { execFileSync, spawn } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import dns from 'node:dns'
import { once } from 'node:events'
import { chmodSync, writeFileSync } from 'node:fs'
import http2 from 'node:http2'
import https from 'node:https'
import net, { type AddressInfo } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import tls from 'node:tls'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import type { CertificateEvent } from '../../lib/server/index.ts'
import { createServerOptions, type SecureServerOptions, type TlsOptions } from '../../lib/server/index.ts'
import { audit, type AuditEvent } from '../../plugins/index.ts'
import { pipelineOf } from '../../plugins/pipeline.ts'
import tlsPlugin from '../../plugins/tls.ts'
import { loader } from '../helpers/loader.ts'
import { until } from '../helpers/server.ts'
import { authority, Certificates, type Issued } from '../lib/server/certificates.ts'

const folder = t.testdir({})
const certificates = new Certificates(folder)
const [first, second, mismatched] = [certificates.issue(), certificates.issue(), certificates.issue()]
const live = { cert: join(folder, 'live.cert'), key: join(folder, 'live.key') }
const write = ({ cert, key }: Pick<Issued, 'cert' | 'key'>) => {
  writeFileSync(live.cert, cert)
  writeFileSync(live.key, key, { mode: 0o600 })
}

/** Fastify asks for all addresses of localhost, and makes a server for each: here always both. */
const has6 = Object.values(networkInterfaces()).some(list => list?.some(({ address }) => address === '::1'))
const lookup = dns.lookup as (...parts: unknown[]) => void
t.intercept(dns, 'lookup', {
  value: (host: string, options: { all?: boolean }, ...rest: Array<(error: null, addresses: dns.LookupAddress[]) => void>) => {
    if (host !== 'localhost' || options.all !== true) return lookup(host, options, ...rest)
    rest[0]?.(null, [{ address: '127.0.0.1', family: 4 }, ...has6 ? [{ address: '::1', family: 6 }] : []])
  }
})

interface Running {
  readonly app: FastifyInstance
  readonly port: number
  readonly addresses: readonly string[]
  readonly lines: Array<Record<string, unknown>>
  /** Requests of `/slow` that wait. */
  readonly waiting: Array<(answer: string) => void>
  /** Lets the watch look now. */
  look (): Promise<void>
  advance (ms: number): void
  status (): unknown
}

async function start (t: Test, tlsOptions: TlsOptions, more: SecureServerOptions = {}, host = 'localhost'): Promise<Running> {
  let time = Date.now()
  let next: () => unknown = () => {}
  const lines: Array<Record<string, unknown>> = []
  const logger = { level: 'info', stream: { write: (line: string) => { lines.push(JSON.parse(line)) } } }
  const app = Fastify({
    ...createServerOptions({ tls: tlsOptions, ...more }, () => time),
    logger,
    forceCloseConnections: true
  } as object) as FastifyInstance
  app.get('/', async () => 'ok')
  const waiting: Running['waiting'] = []
  app.get('/slow', async () => await new Promise(resolve => { waiting.push(resolve) }))
  app.get('/who', async request => {
    const socket = request.raw.socket as tls.TLSSocket
    return { authorized: socket.authorized, name: socket.getPeerCertificate().subject?.CN ?? null }
  })
  await app.register(tlsPlugin, { schedule: callback => { next = callback; return () => { next = () => {} } } })
  await app.listen({ port: 0, host })
  t.teardown(() => app.close())
  return {
    app,
    lines,
    waiting,
    port: (app.server.address() as AddressInfo).port,
    addresses: (app.addresses() as AddressInfo[]).map(({ address }) => address),
    look: async () => { await next() },
    advance: ms => { time += ms },
    status: () => pipelineOf(app).status()['tls']
  }
}

async function served (host: string, port: number): Promise<string> {
  const socket = tls.connect({ host, port, rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  const { fingerprint256 } = socket.getPeerCertificate()
  socket.destroy()
  return fingerprint256
}

function fingerprint ({ certFile }: Issued): string {
  return execFileSync('openssl', ['x509', '-in', certFile, '-noout', '-fingerprint', '-sha256'],
    { encoding: 'utf8' }).trim().split('=')[1] ?? ''
}

/** One request; the body, or the code of what went wrong. */
async function ask (options: https.RequestOptions): Promise<string> {
  return await new Promise(resolve => {
    const request = https.get({ rejectUnauthorized: false, ...options }, response => {
      let body = ''
      response.setEncoding('utf8').on('data', (chunk: string) => { body += chunk }).on('end', () => { resolve(body) })
    })
    request.on('error', (error: NodeJS.ErrnoException) => { resolve(error.code ?? 'error') })
  })
}

t.test('another certificate, on every socket, without a connection being cut', async t => {
  write(first)
  const { port, addresses, look, lines, waiting, status } = await start(t, live)
  t.strictSame([...addresses].sort(), has6 ? ['127.0.0.1', '::1'] : ['127.0.0.1'])
  const agents = addresses.map(host => ({ host, agent: new https.Agent({ keepAlive: true, maxSockets: 1 }) }))
  for (const { host, agent } of agents) t.equal(await ask({ host, port, agent }), 'ok')
  const [slow] = agents
  const underWay = ask({ host: slow?.host ?? '', port, path: '/slow' })
  await until(() => waiting.length === 1, 'the slow request')
  write(second)
  await look()
  for (const { host, agent } of agents) {
    t.equal(await served(host, port), fingerprint(second), `${host}: new connections`)
    let reused = false
    await new Promise<void>(resolve => {
      const request = https.get({ host, port, agent, rejectUnauthorized: false }, response => { response.resume().on('end', resolve) })
      request.on('socket', () => { reused = request.reusedSocket })
    })
    t.equal(reused, true, `${host}: the connection from before goes on`)
    agent.destroy()
  }
  waiting.pop()?.('late')
  t.equal(await underWay, 'late')
  t.match(status(), { ok: true, fingerprint: fingerprint(second), servers: addresses.length, expiry: 'valid', rejected: [] })
  t.match(lines.filter(({ type }) => type !== undefined), [{ type: 'certificate.replaced', level: 30 }])
  t.notOk(lines.some(({ level }) => Number(level) >= 50))
})

t.test('a pair that does not fit keeps the old one', async t => {
  write(first)
  const { port, look, status, lines } = await start(t, live, {}, '127.0.0.1')
  const events: unknown[] = []
  const listener = (event: unknown) => { events.push(event) }
  subscribe('secure-api:certificate', listener)
  t.teardown(() => { unsubscribe('secure-api:certificate', listener) })
  for (const broken of [{ cert: second.cert, key: mismatched.key }, { cert: '', key: '' }, { cert: 'broken', key: first.key }]) {
    write(broken)
    for (let looks = 0; looks < 6; looks++) await look()
    t.equal(await served('127.0.0.1', port), fingerprint(first))
    t.match(status(), { ok: false, fingerprint: fingerprint(first) })
  }
  t.strictSame((events as CertificateEvent[]).map(({ type }) => type), ['certificate.rejected', 'certificate.rejected'])
  t.equal(lines.filter(({ level }) => level === 50).length, 2)
  t.notOk(JSON.stringify(lines).includes('PRIVATE KEY'))
  write(second)
  await look()
  t.equal(await served('127.0.0.1', port), fingerprint(second))
})

t.test('HTTP/2: sessions go on, new ones get the new certificate, and HTTP/1 clients are limited', async t => {
  write(first)
  const { app, port, look } = await start(t, live, { http2: true }, '127.0.0.1')
  const session = http2.connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false })
  t.teardown(() => { session.close() })
  const status = async () => (await once(session.request({ ':path': '/' }).resume(), 'response') as [{ ':status': number }])[0][':status']
  t.equal(await status(), 200)
  write(second)
  await look()
  t.equal(await served('127.0.0.1', port), fingerprint(second))
  t.equal(await status(), 200)
  t.match(app.server, { headersTimeout: 10_000, requestTimeout: 30_000, keepAliveTimeout: 72_000, requireHostHeader: true })
})

t.test('client certificates', async t => {
  const ca = certificates.issue({ name: 'clients', extensions: authority })
  const otherCa = certificates.issue({ name: 'others', extensions: authority })
  const client = certificates.issue({ name: 'alice', issuer: ca, extensions: ['extendedKeyUsage=clientAuth'] })
  const stranger = certificates.issue({ name: 'mallory', issuer: otherCa, extensions: ['extendedKeyUsage=clientAuth'] })
  const authorities = join(folder, 'clients.pem')
  writeFileSync(authorities, ca.cert)
  write(first)
  const who = async (port: number, { cert, key }: Partial<Issued> = {}) =>
    await ask({ host: '127.0.0.1', port, path: '/who', agent: false, ...(cert === undefined ? {} : { cert, key }) })

  t.test('required', async t => {
    const { port, look } = await start(t, { ...live, clientCertificates: { ca: authorities } }, {}, '127.0.0.1')
    t.strictSame(JSON.parse(await who(port, client)), { authorized: true, name: 'alice' })
    t.match(await who(port), /^E/, 'none')
    t.match(await who(port, stranger), /^E/, 'of another authority')
    write(second)
    await look()
    t.equal(await served('127.0.0.1', port), fingerprint(second))
    t.strictSame(JSON.parse(await who(port, client)), { authorized: true, name: 'alice' }, 'a reload keeps the authority')
    t.match(await who(port, stranger), /^E/)
    writeFileSync(authorities, otherCa.cert)
    await look()
    t.match(await who(port, client), /^E/, 'the authority is reloaded too')
    t.strictSame(JSON.parse(await who(port, stranger)), { authorized: true, name: 'mallory' })
  })

  t.test('revoked', async t => {
    const revoked = join(folder, 'revoked.pem')
    writeFileSync(authorities, ca.cert)
    certificates.revoke(ca, [], revoked)
    const { port, look, status } = await start(t, { ...live, clientCertificates: { ca: authorities, crl: revoked } }, {}, '127.0.0.1')
    t.strictSame(JSON.parse(await who(port, client)), { authorized: true, name: 'alice' })
    certificates.revoke(ca, [client], revoked)
    await look()
    t.match(await who(port, client), /^E/)
    writeFileSync(revoked, '')
    await look()
    t.match(status(), { ok: false, rejected: ['SECURE_API_TLS_UNREADABLE'] })
    t.match(await who(port, client), /^E/, 'an empty list brings nobody back')
  })

  t.test('asked for', async t => {
    writeFileSync(authorities, ca.cert)
    const { port } = await start(t, { ...live, clientCertificates: { ca: authorities, required: false } }, {}, '127.0.0.1')
    t.strictSame(JSON.parse(await who(port, client)), { authorized: true, name: 'alice' })
    t.strictSame(JSON.parse(await who(port, stranger)), { authorized: false, name: 'mallory' })
    t.strictSame(JSON.parse(await who(port)), { authorized: false, name: null })
  })
})

t.test('the end of the validity is logged and in the status', async t => {
  write(first)
  const { advance, look, lines, status } = await start(t, { ...live, reload: false }, {}, '127.0.0.1')
  const days = 86_400_000
  for (const ms of [61 * days, 15 * days, 7 * days, 6.2 * days, days]) {
    advance(ms)
    await look()
  }
  t.match(lines.filter(({ type }) => type === 'certificate.expiring'),
    [['renew', 40], ['soon', 40], ['urgent', 50], ['last-day', 50], ['expired', 50]].map(([stage, level]) => ({ stage, level })))
  t.match(status(), { ok: false, expiry: 'expired' })
})

t.test('an incomplete chain is said at start', async t => {
  const root = certificates.issue({ name: 'root', extensions: authority })
  const alone = certificates.issue({ issuer: root })
  const { lines } = await start(t, { cert: alone.cert, key: alone.key }, {}, '127.0.0.1')
  t.match(lines.filter(({ level }) => level === 40), [{ code: 'SECURE_API_TLS_CHAIN_INCOMPLETE' }])
})

t.test('servers that are not ours', async t => {
  const plain = Fastify()
  await plain.register(tlsPlugin)
  t.strictSame(pipelineOf(plain).status(), {})
  await plain.ready()
  const warnings: string[] = []
  const foreign = Fastify({
    https: { cert: first.cert, key: first.key },
    logger: { level: 'warn', stream: { write: line => { warnings.push(line) } } }
  })
  await foreign.register(tlsPlugin)
  await foreign.ready()
  t.equal(warnings.length, 1)
  await Promise.all([plain.close(), foreign.close()])
})

t.test('registered in a child, it still finds every socket', async t => {
  write(first)
  const { port, look } = await (async () => {
    let next: () => unknown = () => {}
    const app = Fastify({ ...createServerOptions({ tls: live }, Date.now), forceCloseConnections: true } as object) as FastifyInstance
    await app.register(async child => { await child.register(tlsPlugin, { schedule: callback => { next = callback; return () => {} } }) },
      { prefix: '/v1' })
    await app.listen({ port: 0 })
    t.teardown(() => app.close())
    return { port: (app.server.address() as AddressInfo).port, look: async () => { await next() } }
  })()
  write(second)
  await look()
  for (const host of has6 ? ['127.0.0.1', '::1'] : ['127.0.0.1']) t.equal(await served(host, port), fingerprint(second), host)
})

t.test('registered twice', async t => {
  const app = Fastify(createServerOptions({ tls: { cert: first.cert, key: first.key } }, Date.now) as object)
  await app.register(tlsPlugin)
  await t.rejects(async () => { await app.register(tlsPlugin) }, { code: 'SECURE_API_ALREADY_REGISTERED' })
  await app.close().catch(() => {})
})

t.test('a client that begins no handshake is cut', async t => {
  const { port } = await start(t, { cert: first.cert, key: first.key, handshakeTimeout: 30 }, {}, '127.0.0.1')
  const socket = net.connect(port, '127.0.0.1')
  await once(socket.resume().on('error', () => {}), 'close')
  t.pass('or the test would run out of time')
})

t.test('TLS 1.1 is refused, also in a process that allows it', async t => {
  const script = fileURLToPath(new URL('tls-floor.ts', import.meta.url))
  const output = execFileSync(process.execPath, [...loader, '--tls-min-v1.0', script, first.certFile, first.keyFile], { encoding: 'utf8' })
  t.strictSame(JSON.parse(output), { floor: 'TLSv1', ordinary: 'TLSv1.1', ours: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION' })
})

t.test('ciphers: forward secrecy and nothing else', async t => {
  const { port } = await start(t, { cert: first.cert, key: first.key }, {}, '127.0.0.1')
  const attempt = async (options: tls.ConnectionOptions) => {
    const socket = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options })
    try {
      await once(socket, 'secureConnect')
      return socket.getCipher().name
    } catch {
      return 'refused'
    } finally {
      socket.destroy()
    }
  }
  t.equal(await attempt({ maxVersion: 'TLSv1.2' }), 'ECDHE-ECDSA-AES128-GCM-SHA256')
  t.equal(await attempt({ maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256' }),
    'ECDHE-ECDSA-CHACHA20-POLY1305', 'phones without AES hardware')
  t.equal(await attempt({ maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA256:AES128-GCM-SHA256' }), 'refused')
})

/** A client of TLS 1.2 that asks for another handshake, and then for the page: all that OpenSSL's client printed. */
async function renegotiate (port: number): Promise<string> {
  const client = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, '-tls1_2'])
  let output = ''
  for (const stream of [client.stdout, client.stderr]) stream.setEncoding('utf8').on('data', (text: string) => { output += text })
  client.stdin.on('error', () => {})
  const ended = once(client, 'close')
  await until(() => output.includes('Verify return code'), 'the handshake')
  client.stdin.write('R\n')
  await until(() => /RENEGOTIATING[^]*(verify return|no renegotiation)/.test(output), 'the second handshake')
  client.stdin.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  await ended
  return output
}

t.test('a client cannot renegotiate', async t => {
  const { port } = await start(t, { cert: first.cert, key: first.key }, {}, '127.0.0.1')
  const refused = await renegotiate(port)
  t.match(refused, /no renegotiation/)
  t.notMatch(refused, /HTTP\/1\.1 200/)
  const ordinary = https.createServer({ cert: first.cert, key: first.key }, (_request, response) => { response.end('ok') }).listen(0,
    '127.0.0.1')
  t.teardown(() => { ordinary.close() })
  await once(ordinary, 'listening')
  t.match(await renegotiate((ordinary.address() as AddressInfo).port), /HTTP\/1\.1 200/, 'Node lets it by itself')
})

t.test('a key that others could read: refused in production, told in development and after a reload', async t => {
  const owned = certificates.issue()
  const options = { cert: owned.certFile, key: owned.keyFile }
  const codes = (more: TlsOptions = {}, environment: 'production' | 'development' = 'production') => {
    try {
      createServerOptions({ tls: { ...options, ...more }, environment }, Date.now)
      return []
    } catch (error) {
      return (error as { errors: Array<{ code: string, path: string }> }).errors.map(({ code, path }) => `${code} ${path}`)
    }
  }
  t.strictSame(codes(), [])
  chmodSync(owned.keyFile, 0o644)
  t.strictSame(codes(), ['SECURE_API_SECRET_FILE_MODE tls.key'])
  t.strictSame(codes({ dangerouslyAllowOpenKeyFile: true }), [])
  t.strictSame(codes({ key: owned.key }), [], 'nothing is known of text')
  const { lines } = await start(t, options, { environment: 'development' }, '127.0.0.1')
  t.match(lines.filter(({ level }) => level === 40), [{ code: 'SECURE_API_SECRET_FILE_MODE' }])

  write(first)
  const { look, status } = await start(t, live, {}, '127.0.0.1')
  chmodSync(live.key, 0o644)
  t.teardown(() => { chmodSync(live.key, 0o600) })
  write(second)
  await look()
  t.match(status(), { ok: true, fingerprint: fingerprint(second), warnings: ['SECURE_API_SECRET_FILE_MODE'] },
    'a renewed pair is served all the same')
})

t.test('a refused client certificate is in the audit trail, and a flood of them is counted', async t => {
  const ca = certificates.issue({ name: 'clients', extensions: authority })
  const stranger = certificates.issue({ name: 'mallory', extensions: ['extendedKeyUsage=clientAuth'] })
  const events: AuditEvent[] = []
  let time = Date.now()
  const server = { cert: first.cert, key: first.key, clientCertificates: { ca: ca.cert } }
  const app = Fastify({ ...createServerOptions({ tls: server }, () => time), forceCloseConnections: true } as object) as FastifyInstance
  await app.register(audit, { sink: event => { events.push(event) } })
  await app.register(tlsPlugin)
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(() => app.close())
  const { port } = app.server.address() as AddressInfo
  const attempt = async (more: https.RequestOptions = {}) => await ask({ host: '127.0.0.1', port, agent: false, ...more })
  await attempt()
  await attempt({ cert: stranger.cert, key: stranger.key })
  await until(() => events.length === 2, 'both events')
  const common = {
    event: 'authn_fail',
    action: 'tls handshake',
    outcome: 'denied',
    status: 0,
    reason: 'client-certificate',
    address: '127.0.0.1'
  }
  t.match(events, [
    { ...common, handshake: { error: 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE', suppressed: 0 } },
    { ...common, handshake: { error: 'DEPTH_ZERO_SELF_SIGNED_CERT', suppressed: 0 } }
  ])
  t.match(await attempt({ maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' }), /^E/)
  await until(() => JSON.stringify(pipelineOf(app).status()['handshakes']) === '{"failed":3,"refused":2}',
    'the count: an old client is no event')
  for (let count = 0; count < 62; count++) await attempt()
  await until(() => JSON.stringify(pipelineOf(app).status()['handshakes']) === '{"failed":65,"refused":64}', 'all of them')
  t.equal(events.length, 60)
  time += 60_000
  await attempt()
  await until(() => events.length === 61, 'the next minute')
  t.strictSame(events.at(-1)?.handshake?.suppressed, 4)
})

t.test('without an audit trail the log has it', async t => {
  const ca = certificates.issue({ name: 'clients', extensions: authority })
  const { port, lines } = await start(t, { cert: first.cert, key: first.key, clientCertificates: { ca: ca.cert } }, {}, '127.0.0.1')
  t.match(await ask({ host: '127.0.0.1', port, agent: false }), /^E/)
  await until(() => lines.some(({ handshake }) => handshake !== undefined), 'the line')
  t.match(lines.find(({ handshake }) => handshake !== undefined), { level: 40, handshake: { address: '127.0.0.1' } })
})

t.test('no certificate at all stops the boot', async t => {
  const codeOf = async (https: object) => {
    const app = Fastify({ https } as object)
    t.teardown(() => app.close().catch(() => {}))
    return await app.register(tlsPlugin).then(() => 'started', (error: { code: string }) => error.code)
  }
  t.equal(await codeOf({}), 'SECURE_API_TLS_CERTIFICATE_MISSING')
  t.equal(await codeOf({ cert: first.cert, key: first.key }), 'started')
  t.equal(await codeOf({ SNICallback: () => {} }), 'started')
})

t.test('plain HTTP that can be reached from outside is warned of in production, unless a proxy is trusted', async t => {
  const warned = async (environment: 'production' | 'development', options: object, host: string) => {
    const codes: unknown[] = []
    const app = Fastify({
      ...options,
      logger: {
        level: 'warn',
        stream: { write: (line: string) => { codes.push(JSON.parse(line).code) } }
      }
    } as object) as FastifyInstance
    await app.register(tlsPlugin, { environment })
    app.addresses = () => [{ address: host, family: 'IPv4', port: 80 }]
    await app.listen({ port: 0, host: '127.0.0.1' })
    await app.close()
    return codes
  }
  t.strictSame(await warned('production', {}, '0.0.0.0'), ['SECURE_API_SERVER_PLAINTEXT'])
  t.strictSame(await warned('production', {}, '127.0.0.1'), [])
  t.strictSame(await warned('production', { trustProxy: '10.0.0.0/8' }, '0.0.0.0'), [])
  t.strictSame(await warned('development', {}, '0.0.0.0'), [])
})
