import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import secureApi, { createApiKey, secureServer, type AuditEvent, type AuditOptions } from '../../plugins/index.ts'
import { bearer, listen, startIssuer, until } from '../helpers/server.ts'
import { handshake } from '../helpers/upgrades.ts'

const issuer = await startIssuer(t)
const iss = 'https://login.example.com'
const open = { public: true } as const
/** No part of it can be there by chance. */
const canary = 'cAnArYq7x'
const hidden = /canaryq7x/i

/** Every header that may carry something of the caller. */
const headers: Readonly<Record<string, string>> = {
  Host: canary,
  Cookie: `session=${canary}; __Host-sid=${canary}`,
  'X-Api-Key': canary,
  'User-Agent': canary,
  Referer: `https://a.example/${canary}?${canary}`,
  'Proxy-Authorization': `Basic ${canary}`,
  Origin: `https://${canary}.example`,
  DPoP: canary,
  Traceparent: `00-${canary}-${canary}-01`,
  Tracestate: canary,
  Baggage: canary,
  'X-Request-Id': canary,
  'X-Forwarded-For': canary,
  'X-Forwarded-Host': canary,
  'X-Forwarded-Client-Cert': `Subject="CN=${canary}"`,
  'Client-Cert': canary,
  'X-Original-Uri': `/${canary}?${canary}`,
  Forwarded: `for=${canary}`,
  'Access-Control-Request-Method': canary,
  'If-None-Match': canary,
  [`X-${canary}`]: canary
}

type Lines = Readonly<Record<string, string>>
interface Sent { readonly method?: string, readonly path?: string, readonly more?: Lines, readonly body?: string }

function bytesOf ({ method = 'GET', path = `/orders/${canary}?token=${canary}`, more = {}, body = '' }: Sent): string {
  const all = { ...headers, ...(body !== '' && { 'Content-Length': String(body.length) }), Connection: 'close', ...more }
  return `${method} ${path} HTTP/1.1\r\n${Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`
}

const json = { 'Content-Type': 'application/json' }
const { key } = createApiKey('test')

/** One of each error path, with the canary in every place that the path leaves. */
const requests: Readonly<Record<string, string>> = {
  'no token': bytesOf({}),
  'no token of ours': bytesOf({ more: { Authorization: `Bearer ${canary}` } }),
  'another scheme': bytesOf({ more: { Authorization: `Basic ${canary}` } }),
  'a token whose claims nobody reads': bytesOf({ more: bearer(issuer, { iss, scope: 'a', nonce: canary, email: canary, jti: canary }) }),
  'a wrong signature': bytesOf({ more: { Authorization: bearer(issuer, { iss, email: canary }).authorization.slice(0, -9) + canary } }),
  'a scope that is missing': bytesOf({ more: bearer(issuer, { iss, email: canary }) }),
  'an API key of nobody': bytesOf({ more: { Authorization: `Bearer ${key}${canary}` } }),
  'no route': bytesOf({ path: `/${canary}/${canary}?${canary}` }),
  'no method': bytesOf({ method: 'PUT' }),
  preflight: bytesOf({ method: 'OPTIONS' }),
  'a body of another type': bytesOf({ method: 'POST', path: `/body?${canary}`, more: { 'Content-Type': `text/${canary}` }, body: canary }),
  'no JSON': bytesOf({ method: 'POST', path: `/body?${canary}`, more: json, body: canary }),
  'a body that fits no schema': bytesOf({ method: 'POST', path: `/body?${canary}`, more: json, body: `{"${canary}":"${canary}"}` }),
  'a body that is too long': bytesOf({ method: 'POST', path: `/body?${canary}`, more: json, body: JSON.stringify(canary.repeat(50)) }),
  'a chunk': bytesOf({ method: 'POST', path: `/body?${canary}`, more: { ...json, 'Transfer-Encoding': 'chunked' } }) + canary,
  // Of a request that fails the log keeps path and host.
  'a handler that throws': bytesOf({ path: `/fails?${canary}`, more: { Host: 'a' } }),
  'a bad URL': bytesOf({ path: `/%zz${canary}` }),
  'a parameter that is too long': bytesOf({ path: `/orders/${canary.repeat(20)}` }),
  'no host': bytesOf({}).replace(/Host: .*\r\n/, ''),
  'an expectation': bytesOf({ more: { Expect: canary } }),
  'long headers': bytesOf({ more: { 'X-Long': canary.repeat(3000) } }),
  'a method that nobody knows': bytesOf({ method: canary }),
  'a header line that cannot be read': `GET /orders/1 HTTP/1.1\r\nHost: a\r\n${canary}\r\n\r\n`,
  'a tunnel': bytesOf({ method: 'CONNECT', path: `${canary}:443` }),
  'an earlier hook': bytesOf({ path: `/before/${canary}?${canary}` }),
  'a handshake': handshake({ path: `/orders/${canary}?${canary}`, headers: { 'Sec-WebSocket-Protocol': canary, Cookie: canary } }),
  'a report of a browser': bytesOf({
    method: 'POST',
    path: `/reports?${canary}`,
    more: { 'Content-Type': 'application/csp-report' },
    body: JSON.stringify({ 'csp-report': { 'document-uri': `https://a.example/?${canary}`, 'script-sample': canary, referrer: canary } })
  })
}

/** All that the process writes: its streams, its warnings, the lines of the logger. */
function overhear (t: Test): string[] {
  const heard: string[] = []
  for (const stream of [process.stdout, process.stderr]) {
    const { write } = stream
    // The reports of this test itself go through.
    stream.write = function (...given: unknown[]) {
      const said = String(given[0])
      if (said.startsWith('{"audit"') || /^\d\d:\d\d:\d\d /.test(said)) return heard.push(said) > 0
      return Reflect.apply(write, stream, given) as boolean
    } as typeof write
    t.teardown(() => { stream.write = write })
  }
  const onWarning = (warning: Error) => { heard.push(`${warning.message} ${JSON.stringify(warning)} ${String(warning.stack)}`) }
  process.on('warning', onWarning)
  t.teardown(() => process.off('warning', onWarning))
  return heard
}

async function start (t: Test, audit: AuditOptions, log: string[]): Promise<FastifyInstance> {
  const logger = { level: 'trace', stream: { write: (line: string) => { log.push(line) } } }
  const server = secureServer({ dangerouslyAllowPlaintext: true, trustProxy: ['192.0.2.0/24'], environment: 'production' })
  const app = Fastify({ ...server, logger, disableRequestLogging: true })
  t.teardown(() => app.close())
  app.addHook('onRequest', async function before ({ url }, reply) {
    return url.startsWith('/before') ? reply.code(403).send('') : undefined
  })
  await app.register(secureApi, {
    auth: {
      issuer: iss,
      audience: issuer.audience,
      jwks: issuer.jwks as { keys: object[] },
      apiKeys: { prefix: 'test', lookup: async () => undefined }
    },
    headers: { reports: { path: '/reports' } },
    cors: { origins: ['https://app.example.com'] },
    audit,
    environment: 'production'
  })
  app.get('/orders/:id', { config: { scope: 'a' } }, async () => '')
  app.post('/body', { config: open, bodyLimit: 100, schema: { body: { type: 'object', required: ['item'] } } }, async () => '')
  app.get('/fails', { config: open }, async () => { throw new Error('no') })
  app.server.on('upgrade', (_request, socket) => { socket.end('HTTP/1.1 403 Forbidden\r\n\r\n') })
  await app.ready()
  return app
}

async function exchange (url: string, bytes: string): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1').on('error', () => {})
  await once(socket, 'connect')
  socket.write(bytes)
  return await text(socket).catch(() => '')
}

t.test('19: nothing of a request gets into the trail, the log, a warning or the status, by any sink or error path', async t => {
  const events: AuditEvent[] = []
  const log: string[] = []
  const heard = overhear(t)
  const app = await start(t, {
    sinks: [
      { sink: 'logger' }, { sink: 'stdout' }, { sink: 'console' }, { sink: event => { events.push(event) } },
      { sink: () => { throw new Error('disk full') } }, { sink: () => new Promise(() => {}) }
    ],
    closeTimeout: 1
  }, log)
  const url = await listen(app)
  for (const [name, bytes] of Object.entries(requests)) {
    const before = events.length
    const answer = await exchange(url, bytes)
    await until(() => events.length > before, `the event of: ${name}`)
    const status = JSON.stringify([app.secureApi.status(), app.secureApi.routes()])
    const places = { events: JSON.stringify(events), log: log.join(''), heard: heard.join(''), status, answer }
    for (const [where, said] of Object.entries(places)) {
      t.notMatch(said, hidden, `${name}: ${where}`)
    }
    t.notMatch(JSON.stringify(events), /eyJ/, `${name}: no token`)
    for (const list of [events, log, heard]) list.length = 0
  }
  await app.close()
  t.notMatch([...log, ...heard, JSON.stringify(events)].join(''), hidden, 'nor at the end')
})
