import { fork } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import tls from 'node:tls'
import { fileURLToPath } from 'node:url'
import { makeCertificates } from './lib/certificates.mjs'
import { summary } from './lib/stats.mjs'

/**
 * What a caller of each kind costs, beside one with a JWT that was seen before: `node bench/callers.mjs [pairs] [requests] [name]` after
 * `npm run build`. One process serves all kinds; its CPU for each request over one connection, in turn with a JWT to the same server.
 */
const own = fileURLToPath(import.meta.url)

if (process.argv[2] === 'server') await serve()
else await measure(Number(process.argv[2] ?? 15), Number(process.argv[3] ?? 2000), process.argv[4] ?? '')

async function serve () {
  const [{ default: Fastify }, { default: secureApi, createApiKey, secureServer, sessionUser }, { createTestIssuer }] =
    await Promise.all([import('fastify'), import('../dist/plugins/index.js'), import('../dist/testing/index.js')])
  const issuer = await createTestIssuer()
  const { issuer: name, audience } = issuer
  const certificates = makeCertificates()
  const listed = createApiKey('shop')
  const looked = createApiKey('find')
  const record = ({ id, hash }) => ({ id, secrets: [{ hash }], scopes: ['api.read'] })
  const principals = [{ san: 'dns:orders.internal', subject: 'orders', scopes: ['api.read'] }]
  const big = { limit: 1_000_000_000, window: '1 minute' }
  const start = async (auth, app = Fastify()) => {
    await app.register(secureApi, {
      auth: { issuer: name, audience, ...auth },
      rateLimit: { perAddress: big, failures: big, policies: { read: big, write: big } },
      audit: { sink: () => {} },
      environment: 'development'
    })
    app.get('/orders', { config: { scope: 'api.read' } }, async () => ({ ok: true }))
    await app.listen({ port: 0, host: '127.0.0.1' })
    return { port: app.server.address().port }
  }
  const session = Fastify()
  session.decorateRequest('session', null)
  session.addHook('onRequest', function handleSession (request, reply, done) {
    const user = { id: 7, name: 'Alice', email: 'alice@example.com', scopes: ['api.read'], roles: ['customer'] }
    request.session = request.headers.cookie === undefined ? {} : { user }
    done()
  })
  const tlsOptions = { ...certificates.server, clientCertificates: { ca: certificates.ca.cert, required: false } }
  const servers = {
    alone: await start({}),
    everything: await start({
      introspection: issuer.introspection,
      apiKeys: { prefix: 'shop', keys: [record(listed)] },
      authenticators: [{
        name: 'session',
        authenticate: ({ headers: { cookie } }) => cookie === undefined ? undefined : { subject: 'alice', scopes: ['api.read'] }
      }]
    }),
    lookup: await start({ apiKeys: { prefix: 'find', lookup: async () => record(looked) } }),
    session: await start({ authenticators: [sessionUser()] }, session),
    proxy: await start({
      clientCertificates: { from: { header: 'x-ssl-client-cert', trusted: ['127.0.0.1'] }, ca: certificates.ca.cert, principals }
    }),
    tls: await start({ clientCertificates: { from: 'tls', principals } }, Fastify(secureServer({ tls: tlsOptions })))
  }
  const claims = { sub: 'alice', client_id: 'web', scope: 'api.read' }
  const token = `Authorization: Bearer ${issuer.sign(claims)}`
  servers.tls.tls = { ca: certificates.server.cert, host: '127.0.0.1' }
  const { cert, key } = certificates.client
  const kinds = {
    'JWT, no other kind configured': [servers.alone, { header: token }, servers.everything],
    'opaque token': [servers.everything, { header: `Authorization: Bearer ${issuer.opaque(claims)}` }],
    'API key of a list': [servers.everything, { header: `X-Api-Key: ${listed.key}` }],
    'API key of a look-up': [servers.lookup, { header: `X-Api-Key: ${looked.key}` }],
    'session of an authenticator': [servers.everything, { header: 'Cookie: sid=1' }],
    'session of sessionUser()': [servers.session, { header: 'Cookie: sid=1' }],
    "certificate in a proxy's header": [servers.proxy, { header: `X-SSL-Client-Cert: ${encodeURIComponent(certificates.client.cert)}` }],
    'certificate of the TLS connection': [servers.tls, { header: 'Accept: */*', tls: { ...servers.tls.tls, cert, key } }]
  }
  const callers = Object.entries(kinds).map(([kind, [server, caller, other = server]]) =>
    ({ kind, caller: { ...server, ...caller }, jwt: { ...other, header: token } }))
  process.on('message', () => process.send({ cpu: process.cpuUsage() }))
  process.send({ callers })
}

async function measure (pairs, requests, only) {
  const child = fork(own, ['server'])
  try {
    const [{ callers }] = await once(child, 'message')
    const chosen = callers.filter(({ kind }) => kind.includes(only))
    for (const { caller, jwt } of chosen) for (const one of [caller, jwt]) await send(one, 8000)
    console.log('| caller | CPU, µs | a JWT, µs | ÷ JWT | half of the pairs |\n| --- | --- | --- | --- | --- |')
    for (const { kind, caller, jwt } of chosen) {
      const costs = []
      for (let pair = 0; pair < pairs; pair++) {
        const turns = pair % 2 === 0 ? [jwt, caller] : [caller, jwt]
        const spent = [await cost(child, turns[0], requests), await cost(child, turns[1], requests)]
        costs.push(pair % 2 === 0 ? spent : spent.reverse())
      }
      const [known, other] = [0, 1].map(side => summary(costs.map(pair => pair[side])).median.toFixed(1))
      const { median, low, high } = summary(costs.map(([known, other]) => other / known))
      console.log(`| ${kind} | ${other} | ${known} | ${median.toFixed(3)} | ${low.toFixed(3)} to ${high.toFixed(3)} |`)
    }
  } finally {
    child.kill()
  }
}

/** Without the connection's own cost, which for TLS is a handshake. */
async function cost (child, caller, requests) {
  const connection = await open(caller)
  try {
    const before = await usage(child)
    await exchange(connection, caller, requests)
    return (await usage(child) - before) / requests
  } finally {
    connection.destroy()
  }
}

async function usage (child) {
  child.send('usage')
  const [{ cpu: { user, system } }] = await once(child, 'message')
  return user + system
}

async function send (caller, requests) {
  const connection = await open(caller)
  try {
    await exchange(connection, caller, requests)
  } finally {
    connection.destroy()
  }
}

/** With one request, after which what belongs to the connection is known. */
async function open (caller) {
  const socket = caller.tls === undefined ? connect(caller.port, '127.0.0.1') : tls.connect({ port: caller.port, ...caller.tls })
  await once(socket, caller.tls === undefined ? 'connect' : 'secureConnect')
  await exchange(socket, caller, 1)
  return socket
}

/** One after the other; rejects at the first answer that is not the handler's. */
function exchange (socket, { header }, requests) {
  const request = `GET /orders HTTP/1.1\r\nHost: a\r\n${header}\r\n\r\n`
  return new Promise((resolve, reject) => {
    let left = requests
    let text = ''
    const read = chunk => {
      text += chunk.toString('latin1')
      if (text.includes('SECURE_API')) return reject(new Error(text))
      if (!text.includes('{"ok":true}')) return
      text = ''
      if (--left > 0) return socket.write(request)
      socket.off('data', read)
      resolve()
    }
    socket.on('error', reject).on('data', read).write(request)
  })
}
