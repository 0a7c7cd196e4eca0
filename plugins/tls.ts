import { channel } from 'node:diagnostics_channel'
import { Server as TlsServer } from 'node:tls'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import type { Schedule } from '../lib/async/index.ts'
import { ConfigurationError, environmentOf, movedClock, type ConfigurationCode, type Environment } from '../lib/config/index.ts'
import {
  certificatesOf, certificateStoreOf, CertificateWatch, HandshakeWatch, isPem, type CertificateEvent, type CertificateStore,
  type HandshakeFailure
} from '../lib/server/index.ts'
import { isFromEnvironment, type SecretStatus } from '../lib/secrets/index.ts'
import { expiriesIn, type Expiry } from '../lib/health/index.ts'
import { expiriesOf } from './expiries.ts'
import { pipelineOf } from './pipeline.ts'
import { secretsOf } from './secrets.ts'
import type { Frame } from './ports.ts'
import { bindingsOf, canBeSecure, serverOptionsOf } from './fastify-internals.ts'
import { suitePlugin } from './suite-plugin.ts'
import { warn } from './warn.ts'

export interface TlsPluginOptions {
  /** Runs a callback later. @default a timer that keeps no process alive */
  schedule?: Schedule
  /** @default NODE_ENV, and production when that is unset */
  environment?: Environment
}

/** Every certificate event, for metrics: `diagnostics_channel.subscribe('secure-api:certificate', …)`. */
const events = channel('secure-api:certificate')

/**
 * Looks after the certificate of a server made with `secureServer({ tls })`: another pair is served on every listening
 * socket without a connection being cut, and the end of its validity is told in time. On plain HTTP it only warns, in
 * production, if that can be reached from outside and no proxy is trusted.
 */
const tls: FastifyPluginAsync<TlsPluginOptions> = async (app, { schedule = movedClock()?.schedule, environment }) => {
  if (!(app.server instanceof TlsServer)) return warnOfPlaintext(app, environment)
  const store = certificateStoreOf(app.server)
  if (store === undefined) return foreignCertificate(app)
  const pipeline = pipelineOf(app)
  pipeline.claim('tls')
  pipeline.report('tls', () => store.status())
  pipeline.watch('certificate', () => store.status().expiry === 'expired' ? 'the certificate of the server has expired' : undefined)
  secretsOf(app).add(() => secretsIn(store))
  expiriesOf(app).from(() => [{ name: 'server', ...store.certificate, quiet: true }, ...authorities(store)])
  const { clientCertificates } = store.options
  const handshakes = new HandshakeWatch({ now: store.now, tell: failure => { tellFailure(app, pipeline, failure) } })
  pipeline.report('handshakes', () => handshakes.status())
  store.onAdopt(server => { handshakes.watch(server, clientCertificates !== undefined) })
  store.adopt(app.server)
  const watch = new CertificateWatch(store, event => { tell(app, event) }, schedule)
  app.addHook('onListen', async function watchCertificate () {
    adoptAll(app, store)
    for (const { code, why, fix } of store.warnings) warn(app, { code }, `secure-api: ${why}. ${fix}`)
    watch.start()
  })
  app.addHook('onClose', async () => { watch.stop() })
}

/** They are read by the server, with the certificate, and have no owner that is stated, but for the passphrase. */
function secretsIn ({ options: { key, passphrase } }: CertificateStore): SecretStatus[] {
  const good = { state: 'good', failures: 0 } as const
  const list: SecretStatus[] = []
  if (key !== undefined) list.push({ option: 'tls.key', source: isPem(key) ? textSource(key) : `file ${key}`, ...good })
  if (typeof passphrase === 'string') list.push({ option: 'tls.passphrase', source: textSource(passphrase), ...good })
  else if (passphrase !== undefined) {
    // Without what a polluted prototype says.
    const own: typeof passphrase = Object.assign(Object.create(null), passphrase)
    const place = 'env' in own ? `env ${own.env}` : 'file' in own ? `file ${own.file}` : own.source
    list.push({ option: 'tls.passphrase', source: place, ...(passphrase.owner !== undefined && { owner: passphrase.owner }), ...good })
  }
  return list
}

function textSource (text: string): string {
  return isFromEnvironment(text) ? 'environment' : 'literal'
}

/** Where one has ended, the callers whose certificates it issued are refused. */
function authorities ({ authority: { ca } }: CertificateStore): readonly Expiry[] {
  return ca === undefined ? [] : expiriesIn('client-ca', certificatesOf(ca))
}

function foreignCertificate (app: FastifyInstance): void {
  refuseNone(app)
  warn(app, {}, 'secure-api: the certificate does not come from secureServer(), so it is neither reloaded nor watched')
}

/** `Fastify({ https: {} })` listens, and every handshake fails. */
function refuseNone (app: FastifyInstance): void {
  const given = serverOptionsOf(app)?.https
  if (typeof given !== 'object' || given === null ||
    ['cert', 'pfx', 'SNICallback'].some(name => Reflect.get(given, name) !== undefined)) return
  throw new ConfigurationError([{
    code: 'SECURE_API_TLS_CERTIFICATE_MISSING',
    path: 'https',
    why: 'without a certificate every handshake would fail',
    fix: 'Give Fastify the options of secureServer({ tls: { cert, key } }), or `https: { cert, key }`.'
  }])
}

/** The suite cannot refuse it: behind a proxy in the same container or pod, loopback or not, plain HTTP is right. */
function warnOfPlaintext (app: FastifyInstance, environment: Environment | undefined): void {
  if (environmentOf(environment) !== 'production' || canBeSecure(app)) return
  const code = 'SECURE_API_SERVER_PLAINTEXT' satisfies ConfigurationCode
  app.addHook('onListen', async function () {
    const addresses: readonly unknown[] = app.addresses()
    if (addresses.every(isLocal)) return
    warn(app, { code },
      'secure-api: plain HTTP without a trusted proxy: tokens travel in the clear. Use secureServer({ tls }), or set `trustProxy`')
  })
}

/** A loopback address, or a Unix socket. */
function isLocal (listening: unknown): boolean {
  const { address } = Object(listening) as { readonly address?: string }
  return address === undefined || address === '::1' || address.startsWith('127.')
}

/**
 * `listen()` on localhost makes a server for each address (fastify/fastify#3536), and Fastify tells nobody of the
 * second one. Where its list cannot be found any more, this is said rather than left to be noticed in a year.
 */
function adoptAll (app: FastifyInstance, store: CertificateStore): void {
  for (const server of bindingsOf(app)) {
    if (server instanceof TlsServer) store.adopt(server)
  }
  const { servers } = store.status()
  const listening = app.addresses().length
  if (servers < listening) {
    warn(app, { servers, listening }, 'secure-api: some listening sockets keep this certificate until the next start', 'error')
  }
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
  const code = 'SECURE_API_CERTIFICATE_EXPIRING' satisfies ConfigurationCode
  app.log[level](event.type === 'certificate.expiring' ? { ...event, code } : event, `secure-api: ${texts[event.type]}`)
  if (events.hasSubscribers) events.publish(event)
}

/** The trail has it; where there is none, the log. */
function tellFailure (app: FastifyInstance, pipeline: Frame, failure: HandshakeFailure): void {
  const { onHandshakeFailure } = pipeline.ports
  if (onHandshakeFailure === undefined) warn(app, { handshake: failure }, 'secure-api: a client certificate was refused')
  else onHandshakeFailure(failure)
}

const texts: Readonly<Record<CertificateEvent['type'], string>> = {
  'certificate.replaced': 'a new certificate is being served',
  'certificate.recovered': 'the certificate is readable again',
  'certificate.rejected': 'the new certificate cannot be served, so the old one stays',
  'certificate.expiring': 'the certificate is about to expire'
}

export default suitePlugin('secure-api-tls', tls)
