import { generateKeyPairSync } from 'node:crypto'
import { createRequire } from 'node:module'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadSuite } from '../lib/dist.mjs'
import { Fastify, listen, pino } from './fastify.mjs'
import { order, schema } from './order.mjs'

const { default: secureApi } = await loadSuite()
// Of the project, as Fastify is.
const require = createRequire(new URL('../../package.json', import.meta.url))

/** The suite as its README says, with limits that only the refusal cases reach. */
export function start (setting) {
  return serve(Fastify(), setting)
}

/** @param {import('fastify').FastifyInstance} app */
export async function serve (app, setting) {
  await app.register(secureApi, options(setting))
  app.get('/orders', { schema, config: { scope: setting.scope } }, async () => order)
  return { ...await listen(app), status: () => app.secureApi.status() }
}

export function options ({
  issuer, audience, jwksUri, algorithm, origin, cache, limit, addressLimit, failures, redis, leased, keys, audit,
  metrics = false
}) {
  const window = '1 minute'
  return {
    environment: 'development',
    auth: {
      issuers: [{ issuer, audience, jwksUri, algorithms: [algorithm], ...(keys === undefined ? undefined : { keys }) }],
      tokenCache: { max: cache }
    },
    cors: { origins: [origin] },
    rateLimit: {
      ...(redis === undefined ? undefined : { redis }),
      ...(leased === undefined ? undefined : { leased }),
      perAddress: { limit: addressLimit, window, algorithm: 'token-bucket' },
      ...(failures === undefined ? undefined : { failures: { limit: failures, window } }),
      policies: { read: { limit, window } }
    },
    audit: trails[audit](),
    ...(metrics ? { telemetry: { metrics: meterProvider() } } : undefined)
  }
}

const trails = {
  none: () => ({ sink: () => {} }),
  pino: () => {
    const log = pino(pino.destination({ dest: '/dev/null', sync: false }))
    return { sink: event => log.info({ audit: event }, 'audit') }
  },
  chain: () => {
    const folder = mkdtempSync(join(tmpdir(), 'secure-api-bench-'))
    process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
    const { privateKey: key } = generateKeyPairSync('ed25519')
    return { file: join(folder, 'audit.jsonl'), chain: { key }, buffer: 100_000 }
  }
}

/** Collects what is measured, and sends it to nobody. */
function meterProvider () {
  const { MeterProvider, MetricReader } = require('@opentelemetry/sdk-metrics')
  return new MeterProvider({
    readers: [new class extends MetricReader {
      async onForceFlush () {}
      async onShutdown () {}
    }()]
  })
}
