import { fork } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import { summary } from './lib/stats.mjs'

/**
 * What metrics and traces cost: `node bench/telemetry.mjs [pairs] [requests]` after `npm run build`. A process for each, since channels
 * belong to the process; its CPU for each request over one connection, in turn with one without telemetry.
 */
const own = fileURLToPath(import.meta.url)
const kinds = {
  '`{}`, nobody listens': async () => ({}),
  'metrics, OpenTelemetry SDK': async () => {
    const { MeterProvider } = await import('@opentelemetry/sdk-metrics')
    return { metrics: new MeterProvider({ readers: [await manualReader()] }) }
  },
  'metrics and traces': async () => {
    const { trace } = await import('@opentelemetry/api')
    const { BasicTracerProvider } = await import('@opentelemetry/sdk-trace-base')
    trace.setGlobalTracerProvider(new BasicTracerProvider())
    return { ...await kinds['metrics, OpenTelemetry SDK'](), traces: true }
  }
}

if (process.argv[2] === 'server') await serve(process.argv[3])
else await measure(Number(process.argv[2] ?? 20), Number(process.argv[3] ?? 2000))

/** Collects what is measured, and sends it to nobody. */
async function manualReader () {
  const { MetricReader } = await import('@opentelemetry/sdk-metrics')
  return new class extends MetricReader {
    async onForceFlush () {}
    async onShutdown () {}
  }()
}

async function serve (kind) {
  const [{ default: Fastify }, { default: secureApi }, { createTestIssuer }] =
    await Promise.all([import('fastify'), import('../dist/plugins/index.js'), import('../dist/testing/index.js')])
  const issuer = await createTestIssuer()
  const big = { limit: 1_000_000_000, window: '1 minute' }
  const app = Fastify()
  await app.register(secureApi, {
    auth: { issuer: issuer.issuer, audience: issuer.audience },
    rateLimit: { perAddress: big, failures: big, policies: { read: big, write: big } },
    cors: { origins: ['https://app.example.com'] },
    audit: { sink: () => {} },
    environment: 'development',
    telemetry: await kinds[kind]?.() ?? false
  })
  app.get('/orders', { config: { scope: 'api.read' } }, async () => ({ ok: true }))
  await app.listen({ port: 0, host: '127.0.0.1' })
  process.on('message', () => process.send({ cpu: process.cpuUsage() }))
  process.send({ port: app.server.address().port, token: issuer.sign({ sub: 'alice', client_id: 'web', scope: 'api.read' }) })
}

async function measure (pairs, requests) {
  const servers = []
  try {
    for (const kind of ['none', ...Object.keys(kinds)]) servers.push(await start(kind))
    for (const server of servers) await send(server, 8000)
    const [off, ...others] = servers
    console.log('| telemetry | CPU, µs | without, µs | throughput | half of the pairs |\n| --- | --- | --- | --- | --- |')
    for (const on of others) {
      const costs = []
      for (let pair = 0; pair < pairs; pair++) {
        const turns = pair % 2 === 0 ? [off, on] : [on, off]
        const spent = [await cost(turns[0], requests), await cost(turns[1], requests)]
        costs.push(pair % 2 === 0 ? spent : spent.reverse())
      }
      const [without, cpu] = [0, 1].map(side => summary(costs.map(pair => pair[side])).median.toFixed(1))
      const { median, low, high } = summary(costs.map(([without, cpu]) => without / cpu))
      console.log(`| ${on.kind} | ${cpu} | ${without} | ${median.toFixed(3)} | ${low.toFixed(3)} to ${high.toFixed(3)} |`)
    }
  } finally {
    for (const { child } of servers) child.kill()
  }
}

async function start (kind) {
  const child = fork(own, ['server', kind])
  const [{ port, token }] = await once(child, 'message')
  return { kind, child, port, token }
}

async function cost (server, requests) {
  const before = await usage(server)
  await send(server, requests)
  return (await usage(server) - before) / requests
}

async function usage ({ child }) {
  child.send('usage')
  const [{ cpu: { user, system } }] = await once(child, 'message')
  return user + system
}

/** One after the other over one connection; rejects at the first answer that is not the handler's. */
function send ({ port, token }, requests) {
  const request = `GET /orders HTTP/1.1\r\nHost: a\r\nOrigin: https://app.example.com\r\nAuthorization: Bearer ${token}\r\n\r\n`
  return new Promise((resolve, reject) => {
    let left = requests
    let text = ''
    const socket = connect(port, '127.0.0.1', () => { socket.write(request) })
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
