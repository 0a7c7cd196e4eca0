import { channel } from 'node:diagnostics_channel'
import { Server as TlsServer } from 'node:tls'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import type { Step } from '../lib/pipeline/index.ts'
import { certificateStoreOf, CertificateWatch, type CertificateEvent, type CertificateStore, type Schedule } from '../lib/server/index.ts'
import { pipelineOf } from './pipeline.ts'

export interface TlsPluginOptions {
  /** Runs a callback later. @default a timer that keeps no process alive */
  schedule?: Schedule
}

/** Every certificate event, for metrics: `diagnostics_channel.subscribe('fastify-secure-api:certificate', …)`. */
const events = channel('fastify-secure-api:certificate')

/**
 * Looks after the certificate of a server made with `secureServer({ tls })`: another pair is served on every listening
 * socket without a connection being cut, and the end of its validity is told in time. Does nothing on plain HTTP.
 */
const tls: FastifyPluginAsync<TlsPluginOptions> = async (app, { schedule }) => {
  if (!(app.server instanceof TlsServer)) return
  const store = certificateStoreOf(app.server)
  if (store === undefined) {
    app.log.warn('secure-api: the certificate does not come from secureServer(): it is neither reloaded nor watched')
    return
  }
  const pipeline = pipelineOf(app)
  pipeline.add(onlyOnce)
  pipeline.report('certificates', () => store.status())
  store.adopt(app.server)
  const watch = new CertificateWatch(store, event => { tell(app, event) }, schedule)
  app.addHook('onListen', async function watchCertificate () {
    adoptAll(app, store)
    for (const { code, why, fix } of store.warnings) app.log.warn({ code }, `secure-api: ${why}. ${fix}`)
    watch.start()
  })
  app.addHook('onClose', async () => { watch.stop() })
}

/** Does nothing on a route; a second watch of the same server is refused for having it too. */
const onlyOnce: Step = Object.freeze({ name: 'tls', phase: 'headers', compile: () => undefined })

/**
 * `listen()` on localhost makes a server for each address (fastify/fastify#3536), and Fastify tells nobody of the
 * second one. Where its list cannot be found any more, this is said rather than left to be noticed in a year.
 */
function adoptAll (app: FastifyInstance, store: CertificateStore): void {
  for (const server of bindings(app)) {
    if (server instanceof TlsServer) store.adopt(server)
  }
  const { servers } = store.status()
  const listening = app.addresses().length
  if (servers < listening) app.log.error({ servers, listening }, 'secure-api: some listening sockets will keep this certificate until the next start')
}

function bindings (app: FastifyInstance): readonly unknown[] {
  const root = rootOf(app)
  const symbol = Object.getOwnPropertySymbols(root).find(({ description }) => description === 'fastify.serverBindings')
  const found = symbol === undefined ? undefined : (root as Record<symbol, unknown>)[symbol]
  return Array.isArray(found) ? found : []
}

/** Children have their parent as prototype; only the root has the server as its own. */
function rootOf (app: object): object {
  return Object.hasOwn(app, 'server') ? app : rootOf(Object.getPrototypeOf(app))
}

const levels: Readonly<Record<string, 'info' | 'warn' | 'error'>> = {
  'certificate.replaced': 'info',
  'certificate.recovered': 'info',
  'certificate.rejected': 'error',
  renew: 'warn',
  soon: 'warn',
  urgent: 'error',
  'last-day': 'error',
  expired: 'error'
}

function tell (app: FastifyInstance, event: CertificateEvent): void {
  const level = levels[event.type === 'certificate.expiring' ? event.stage : event.type] ?? 'error'
  app.log[level](event, `secure-api: ${texts[event.type]}`)
  if (events.hasSubscribers) events.publish(event)
}

const texts: Readonly<Record<CertificateEvent['type'], string>> = {
  'certificate.replaced': 'another certificate is served from now on',
  'certificate.recovered': 'the certificate can be read again',
  'certificate.rejected': 'the new certificate cannot be served; the one before stays',
  'certificate.expiring': 'the certificate comes to its end'
}

export default fp(tls, { fastify: '5.x', name: 'secure-api-tls' })
