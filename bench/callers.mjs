import { fork } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import { median } from './lib/stats.mjs'

/**
 * What a caller of each kind costs, beside one with a JWT that was seen before: `node bench/callers.mjs [pairs] [requests]` after
 * `npm run build`. One server knows all kinds; CPU of its process for each request over one connection, in turn with the JWT.
 */
const own = fileURLToPath(import.meta.url)

if (process.argv[2] === 'server') await serve()
else await measure(Number(process.argv[2] ?? 15), Number(process.argv[3] ?? 2000))

async function serve () {
  const [{ default: Fastify }, { default: secureApi, createApiKey }, { createTestIssuer }] =
    await Promise.all([import('fastify'), import('../dist/plugins/index.js'), import('../dist/testing/index.js')])
  const issuer = await createTestIssuer()
  const listed = createApiKey('shop')
  const looked = createApiKey('find')
  const record = ({ id, hash }) => ({ id, secrets: [{ hash }], scopes: ['api.read'] })
  const big = { limit: 1_000_000_000, window: '1 minute' }
  const start = async (auth) => {
    const app = Fastify()
    await app.register(secureApi, {
      auth,
      rateLimit: { perAddress: big, failures: big, policies: { read: big, write: big } },
      audit: { sink: () => {} },
      environment: 'development'
    })
    app.get('/orders', { config: { scope: 'api.read' } }, async () => ({ ok: true }))
    await app.listen({ port: 0, host: '127.0.0.1' })
    return app.server.address().port
  }
  const { issuer: name, audience } = issuer
  const everything = await start({
    issuer: name,
    audience,
    introspection: issuer.introspection,
    apiKeys: { prefix: 'shop', keys: [record(listed)] },
    authenticators: [{
      name: 'session',
      authenticate: ({ headers: { cookie } }) => cookie === undefined ? undefined : { subject: 'alice', scopes: ['api.read'] }
    }]
  })
  const claims = { sub: 'alice', client_id: 'web', scope: 'api.read' }
  const token = `Authorization: Bearer ${issuer.sign(claims)}`
  const callers = {
    'JWT, no other kind configured': { port: await start({ issuer: name, audience }), header: token },
    JWT: { port: everything, header: token },
    'opaque token': { port: everything, header: `Authorization: Bearer ${issuer.opaque(claims)}` },
    'API key of a list': { port: everything, header: `X-Api-Key: ${listed.key}` },
    'API key of a look-up': {
      port: await start({ apiKeys: { prefix: 'find', lookup: async () => record(looked) } }),
      header: `X-Api-Key: ${looked.key}`
    },
    'session of an authenticator': { port: everything, header: 'Cookie: sid=1' }
  }
  process.on('message', () => process.send({ cpu: process.cpuUsage() }))
  process.send({ callers })
}

async function measure (pairs, requests) {
  const child = fork(own, ['server'])
  try {
    const [{ callers }] = await once(child, 'message')
    const { JWT: known, ...others } = callers
    for (const caller of Object.values(callers)) await send(caller, 8000)
    for (const [name, caller] of Object.entries(others)) {
      const ratios = []
      const costs = { jwt: [], other: [] }
      for (let pair = 0; pair < pairs; pair++) {
        const [first, second] = pair % 2 === 0 ? [known, caller] : [caller, known]
        const spent = [await cost(child, first, requests), await cost(child, second, requests)]
        const [jwt, other] = pair % 2 === 0 ? spent : spent.reverse()
        ratios.push(other / jwt)
        costs.jwt.push(jwt)
        costs.other.push(other)
      }
      const [other, jwt] = [median(costs.other), median(costs.jwt)].map(figure => figure.toFixed(1))
      console.log(`${name.padEnd(30)} ${other} µs, a JWT ${jwt} µs: ${median(ratios).toFixed(3)}`)
    }
  } finally {
    child.kill()
  }
}

async function cost (child, caller, requests) {
  const before = await usage(child)
  await send(caller, requests)
  return (await usage(child) - before) / requests
}

async function usage (child) {
  child.send('usage')
  const [{ cpu: { user, system } }] = await once(child, 'message')
  return user + system
}

/** One after the other over one connection; rejects at the first answer that is not the handler's. */
function send ({ port, header }, requests) {
  const request = `GET /orders HTTP/1.1\r\nHost: a\r\n${header}\r\n\r\n`
  return new Promise((resolve, reject) => {
    let left = requests
    let text = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(request))
    socket.on('error', reject).on('data', chunk => {
      text += chunk.toString('latin1')
      if (text.includes('SECURE_API')) return reject(new Error(text))
      if (!text.includes('{"ok":true}')) return
      text = ''
      if (--left > 0) return socket.write(request)
      socket.destroy()
      resolve()
    })
  })
}
