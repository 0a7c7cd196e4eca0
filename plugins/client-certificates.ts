import { Server as TlsServer } from 'node:tls'
import type { FastifyInstance } from 'fastify'
import {
  CertificatePrincipals, ForwardedCertificateScheme, readTrust, TlsCertificateScheme, TrustError, TrustFiles,
  type ClientCertificatesOptions, type Trust, type TrustStatus, type TrustTexts
} from '../lib/certificates/index.ts'
import { mistake, trustFileFault, type ConfigurationCode } from '../lib/config/index.ts'
import type { Scheme } from '../lib/credentials/index.ts'
import { certificateStoreOf, isPem, type CertificateStore } from '../lib/server/index.ts'
import { expiriesIn } from '../lib/health/index.ts'
import { expiriesOf } from './expiries.ts'
import { pipelineOf } from './pipeline.ts'
import { warn } from './warn.ts'

const path = 'auth.clientCertificates'

interface Surroundings { readonly development: boolean, readonly now: (() => number) | undefined }
type Options = ClientCertificatesOptions

/** The scheme behind `auth.clientCertificates`, if it is set, and what keeps its authorities and lists up to date. */
export function certificateSchemes (app: FastifyInstance, options: Options | undefined, around: Surroundings): Scheme[] {
  if (options === undefined) return []
  const { from } = options
  const common = { principals: new CertificatePrincipals(options.principals), now: around.now ?? Date.now }
  if (from !== 'tls') return [new ForwardedCertificateScheme(from, { ...common, trust: trustInFiles(app, options, around) })]
  const store = requestingServer(app)
  const trust = store === undefined ? trustInFiles(app, options, around) : trustOfServer(app, store, options)
  return [new TlsCertificateScheme({ ...common, trust })]
}

/** The store of a server of `secureServer()`; undefined for another that asks its clients for certificates. */
function requestingServer ({ server }: FastifyInstance): CertificateStore | undefined {
  const store = certificateStoreOf(server)
  if (server instanceof TlsServer && Reflect.get(server, 'requestCert') === true) return store
  throw mistake('SECURE_API_CERTIFICATES_NOT_REQUESTED', `${path}.from`, 'the server asks no client for a certificate',
    'Give Fastify `secureServer({ tls: { …, clientCertificates: { ca, required: false } } })`, or name the header of your proxy.')
}

/** Authorities and lists of the server, read when they change: for connections that are open already. */
function trustOfServer (app: FastifyInstance, store: CertificateStore, { ca, crl }: Options): () => Trust {
  if (ca !== undefined || crl !== undefined) {
    throw mistake('SECURE_API_OPTION_CONFLICT', `${path}.${ca === undefined ? 'crl' : 'ca'}`, 'the server has its own',
      'Write it into `tls.clientCertificates` of secureServer() alone.')
  }
  let read = store.authority
  let trust = orMistake(readTrust(read, true))
  return () => {
    if (read === store.authority) return trust
    read = store.authority
    const next = readTrust(read, true)
    if ('part' in next) warn(app, { why: next.why }, 'secure-api: the new revocation list does not count for open connections', 'error')
    else trust = next
    return trust
  }
}

function orMistake (trust: ReturnType<typeof readTrust>): Trust {
  if ('part' in trust) throw unusable(trust)
  return trust
}

function unusable ({ part, why }: TrustError['fault']) {
  return mistake('SECURE_API_TLS_CLIENT_CA', `${path}.${part}`, why, 'Check it with `openssl x509` and `openssl crl`.')
}

function trustInFiles (app: FastifyInstance, { ca, crl }: Options, { development }: Surroundings): () => Trust {
  for (const [part, source] of Object.entries({ ca, crl })) checkMode(app, part, source, development)
  const files = openFiles(app, { ca, crl })
  pipelineOf(app).report('clientCertificates', () => files.status())
  expiriesOf(app).from(() => expiriesIn('client-ca', files.trust.authorities))
  app.addHook('onReady', async () => { files.start() })
  app.addHook('onClose', async () => { files.stop() })
  return () => files.trust
}

function openFiles (app: FastifyInstance, sources: TrustTexts): TrustFiles {
  try {
    return new TrustFiles({ sources, tell: status => { tell(app, status) } })
  } catch (error) {
    throw error instanceof TrustError ? unusable(error.fault) : error
  }
}

function tell (app: FastifyInstance, status: TrustStatus): void {
  if (status.ok) app.log.info(status, 'secure-api: authorities and revocation lists of client certificates were read again')
  else warn(app, status, 'secure-api: the files of client certificates cannot be used, so their earlier content counts', 'error')
}

function checkMode (app: FastifyInstance, part: string, source: string | undefined, development: boolean): void {
  const fault = source === undefined || isPem(source) ? undefined : trustFileFault(source)
  if (fault === undefined) return
  const code = 'SECURE_API_TRUST_FILE_MODE' satisfies ConfigurationCode
  if (!development) throw mistake(code, `${path}.${part}`, fault.why, fault.fix)
  warn(app, { code }, `secure-api: ${path}.${part}: ${fault.why}`)
}
