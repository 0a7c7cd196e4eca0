import { execFileSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createServer, type Server } from 'node:tls'
import t from 'tap'
import { Secret } from '../../../lib/secrets/index.ts'
import type { ConfigurationError } from '../../../lib/config/index.ts'
import { expiryStage, inspect, type Material } from '../../../lib/server/certificate.ts'
import { certificateStoreOf, CertificateStore, judge } from '../../../lib/server/certificate-store.ts'
import { CertificateWatch, type CertificateEvent } from '../../../lib/server/certificate-watch.ts'
import { createServerOptions } from '../../../lib/server/index.ts'
import type { TlsOptions } from '../../../lib/server/options.ts'
import { hasWeakSignature } from '../../../lib/server/signature-hash.ts'
import { authority, Certificates } from './certificates.ts'

const folder = t.testdir({})
const certificates = new Certificates(folder)
const good = certificates.issue()
const other = certificates.issue()
const day = 86_400_000
/** After all of them are issued, also the last ones on a slow machine. */
const now = Date.now() + 3_600_000

const refusedCodes = (material: Material, hosts: string[] = [], time = now) => inspect(material, hosts,
  time).refused.map(({ code }) => code)
const warningCodes = (material: Material) => inspect(material, [], now).warnings.map(({ code }) => code)

function mistakes (tls: TlsOptions, time = now): string[] {
  try {
    createServerOptions({ tls }, () => time)
    return []
  } catch (error) {
    return (error as ConfigurationError).errors.map(({ code, path }) => `${code} ${path}`)
  }
}

t.test('what is refused', async t => {
  const root = certificates.issue({ name: 'root', extensions: authority })
  const sha1 = certificates.issue({ digest: ['-sha1'] })
  const pss = certificates.issue({ algorithm: ['rsa:2048'], digest: ['-sha1', '-sigopt', 'rsa_padding_mode:pss'] })
  const goodPss = certificates.issue({ algorithm: ['rsa:2048'], digest: ['-sha256', '-sigopt', 'rsa_padding_mode:pss'] })
  const short = certificates.issue({ algorithm: ['rsa:1024'] })
  const curve = certificates.issue({ algorithm: ['ec', '-pkeyopt', 'ec_paramgen_curve:prime192v1'] })
  const client = certificates.issue({ extensions: ['extendedKeyUsage=clientAuth'] })
  const both = certificates.issue({ extensions: ['extendedKeyUsage=clientAuth,serverAuth'] })
  const weakRoot = certificates.issue({ name: 'old root', extensions: authority, digest: ['-sha1'] })
  const underWeakRoot = certificates.issue({ issuer: weakRoot })
  t.strictSame(refusedCodes(good), [])
  t.strictSame(refusedCodes(goodPss), [])
  t.strictSame(refusedCodes(both), [])
  t.strictSame(refusedCodes({ ...underWeakRoot, cert: underWeakRoot.cert + weakRoot.cert }), [], 'nobody checks the signature of a root')
  t.strictSame(refusedCodes({ ...good, key: other.key }), ['SECURE_API_TLS_KEY_MISMATCH'])
  t.strictSame(refusedCodes({ ...good, cert: root.cert + good.cert }), ['SECURE_API_TLS_KEY_MISMATCH'],
    'the own certificate must be the first')
  t.strictSame(refusedCodes({ ...good, key: 'nothing' }), ['SECURE_API_TLS_KEY'])
  t.strictSame(refusedCodes({ ...good, cert: 'nothing' }), ['SECURE_API_TLS_UNREADABLE'])
  t.strictSame(refusedCodes({ ...good, cert: good.cert.replace(/\n.{20}/, '\nAAAAAAAAAAAAAAAAAAAA') }), ['SECURE_API_TLS_UNREADABLE'])
  t.strictSame(refusedCodes(good, [], now + 91 * day), ['SECURE_API_TLS_EXPIRED'])
  t.strictSame(refusedCodes(good, [], now - day), ['SECURE_API_TLS_NOT_YET_VALID'])
  for (const [label, weak] of Object.entries({ sha1, pss, short, curve })) t.strictSame(refusedCodes(weak), ['SECURE_API_TLS_WEAK'], label)
  t.strictSame(refusedCodes(client), ['SECURE_API_TLS_PURPOSE'])
  t.strictSame(refusedCodes(good, ['localhost', '127.0.0.1', '::1']), [])
  t.strictSame(refusedCodes(good, ['api.example.com', '10.0.0.1']), ['SECURE_API_TLS_HOST_MISMATCH', 'SECURE_API_TLS_HOST_MISMATCH'])
  t.strictSame(refusedCodes(certificates.issue({ extensions: [] }), ['localhost']), ['SECURE_API_TLS_HOST_MISMATCH'],
    'the common name is no name of a server (RFC 9525)')
  t.strictSame(refusedCodes({ ...good, ca: 'nothing' }), ['SECURE_API_TLS_CLIENT_CA'])
  t.equal(hasWeakSignature(Buffer.from('3000', 'hex')), true, 'what cannot be read is weak')
  t.match(judge({ ...good, crl: 'nothing' }, {}, now), { refused: [{ code: 'SECURE_API_TLS_REFUSED' }] })
})

t.test('what is warned of', async t => {
  const root = certificates.issue({ name: 'root', extensions: authority })
  const between = certificates.issue({ name: 'between', extensions: authority, issuer: root })
  const leaf = certificates.issue({ issuer: between })
  t.strictSame(warningCodes(good), [], 'self-signed')
  t.strictSame(warningCodes({ ...leaf, cert: leaf.cert + between.cert }), [], 'the root is left out')
  t.strictSame(warningCodes({ ...leaf, cert: leaf.cert + between.cert + root.cert }), [])
  t.strictSame(warningCodes(leaf), ['SECURE_API_TLS_CHAIN_INCOMPLETE'])
  t.strictSame(warningCodes({ ...leaf, cert: leaf.cert + root.cert }), ['SECURE_API_TLS_CHAIN_INCOMPLETE'], 'one is missing between')
  const inChain = createServerOptions({ tls: { cert: leaf.cert, key: leaf.key, chain: between.certFile } },
    () => now).https as { cert: Buffer }
  t.equal(inChain.cert.toString().match(/BEGIN/g)?.length, 2, 'tls.chain is sent too')
})

t.test('boot: every mistake by code and place', async t => {
  const encrypted = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' },
    publicKeyEncoding: { type: 'spki', format: 'pem' }
  })
  const pair = { cert: good.certFile, key: good.keyFile }
  const passphrase = join(folder, 'passphrase')
  writeFileSync(passphrase, 'x\n', { mode: 0o600 })
  const cases: Array<[label: string, tls: TlsOptions, ...expected: string[]]> = [
    ['files', pair],
    ['text', { cert: good.cert, key: good.key }],
    ['text of an environment variable', { cert: good.cert.replaceAll('\n', '\\n'), key: good.key.replaceAll('\n', '\\n') }],
    ['a provider', { provider: () => good }],
    ['nothing', {}, 'SECURE_API_TLS_CERTIFICATE_MISSING tls.cert'],
    ['no key', { cert: good.certFile }, 'SECURE_API_TLS_CERTIFICATE_MISSING tls.key'],
    ['no certificate', { key: good.keyFile, provider: () => good }, 'SECURE_API_TLS_CERTIFICATE_MISSING tls.cert'],
    ['no file', { cert: join(folder, 'none'), key: join(folder, 'none') }, 'SECURE_API_TLS_UNREADABLE tls.cert',
      'SECURE_API_TLS_UNREADABLE tls.key'],
    ['a provider that promises', { provider: async () => { throw new Error('never mind') } }, 'SECURE_API_TLS_PROVIDER_ASYNC tls.provider'],
    ['a provider that throws', { provider: () => { throw new Error('vault is sealed') } }, 'SECURE_API_TLS_UNREADABLE tls.provider'],
    ['a provider of nothing', { provider: (() => undefined) as never }, 'SECURE_API_TLS_UNREADABLE tls.provider'],
    ['an encrypted key', { cert: good.cert, key: encrypted.privateKey }, 'SECURE_API_TLS_KEY tls.key'],
    ['the wrong passphrase', { cert: good.cert, key: encrypted.privateKey, passphrase: new Secret('y') }, 'SECURE_API_TLS_KEY tls.key'],
    ['its passphrase, another pair', { cert: good.cert, key: encrypted.privateKey, passphrase: new Secret('x') },
      'SECURE_API_TLS_KEY_MISMATCH tls.key'],
    ['a passphrase in the source', { cert: good.cert, key: encrypted.privateKey, passphrase: 'x' },
      'SECURE_API_SECRET_LITERAL tls.passphrase'],
    ['a passphrase in a file', { cert: good.cert, key: encrypted.privateKey, passphrase: { file: passphrase } },
      'SECURE_API_TLS_KEY_MISMATCH tls.key'],
    ['a passphrase that is not there', { ...pair, passphrase: { env: 'SECURE_API_NOT_SET' } },
      'SECURE_API_SECRET_UNAVAILABLE tls.passphrase'],
    ['another pair', { cert: good.cert, key: other.key }, 'SECURE_API_TLS_KEY_MISMATCH tls.key'],
    ['TLS 1.1', { ...pair, minVersion: 'TLSv1.1' as never }, 'SECURE_API_TLS_MIN_VERSION tls.minVersion'],
    ['TLS 1.3', { ...pair, minVersion: 'TLSv1.3' }],
    ['a foreign host', { ...pair, hosts: ['api.example.com'] }, 'SECURE_API_TLS_HOST_MISMATCH tls.cert'],
    ['a pattern as host', { ...pair, hosts: ['*.example.com'] }, 'SECURE_API_OPTION_VALUE tls.hosts[0]'],
    ['an empty authority', { ...pair, clientCertificates: { ca: '' } }, 'SECURE_API_OPTION_EMPTY tls.clientCertificates.ca'],
    ['no authority', { ...pair, clientCertificates: {} as never }, 'SECURE_API_OPTION_MISSING tls.clientCertificates.ca'],
    ['a key as authority', { ...pair, clientCertificates: { ca: good.keyFile } }, 'SECURE_API_TLS_CLIENT_CA tls.clientCertificates.ca'],
    ['an unreadable revocation list', { ...pair, clientCertificates: { ca: good.certFile, crl: join(folder, 'none') } },
      'SECURE_API_TLS_UNREADABLE tls.clientCertificates.crl'],
    ['a revocation list that is none', { ...pair, clientCertificates: { ca: good.certFile, crl: good.keyFile } },
      'SECURE_API_TLS_REFUSED tls.cert'],
    ['reload too often', { ...pair, reload: 10 }, 'SECURE_API_OPTION_RANGE tls.reload'],
    ['no reload', { ...pair, reload: false }]
  ]
  for (const [label, tls, ...expected] of cases) t.strictSame(mistakes(tls), expected, label)
  t.strictSame(mistakes(pair, now + 91 * day), ['SECURE_API_TLS_EXPIRED tls.cert'])
  t.strictSame(mistakes(pair, now - day), ['SECURE_API_TLS_NOT_YET_VALID tls.cert'])
})

t.test('no message holds a key', async t => {
  try {
    createServerOptions({ tls: { cert: 1 as never, key: [good.key] as never, passphrase: { secret: 'hunter2' } as never } }, () => now)
    t.fail('it started')
  } catch (error) {
    t.notMatch(String(error), /PRIVATE KEY|hunter2/)
  }
})

t.test('stages before the end', async t => {
  const long = (left: number) => expiryStage({ notAfter: left * day, lifetime: 90 * day }, 0)
  const six = (left: number) => expiryStage({ notAfter: left * day, lifetime: 6 * day }, 0)
  t.strictSame([89, 30.1, 30, 14.1, 14, 7.1, 7, 1.1, 1, 0.1, 0, -5].map(long),
    ['valid', 'valid', 'renew', 'renew', 'soon', 'soon', 'urgent', 'urgent', 'last-day', 'last-day', 'expired', 'expired'])
  t.strictSame([6, 2.1, 2, 1, 0.5, 0.06, 0].map(six), ['valid', 'valid', 'renew', 'soon', 'urgent', 'last-day', 'expired'],
    'a short-lived one is not always in its last week')
})

interface Clockwork {
  readonly store: CertificateStore
  readonly events: CertificateEvent[]
  readonly delays: number[]
  readonly watch: CertificateWatch
  /** Lets the next timer fire, `ms` later than now unless its own delay is meant. */
  tick (ms?: number): Promise<void>
}

function clockwork (tls: TlsOptions): Clockwork {
  let time = now
  const judged = judge({ cert: good.cert, key: good.key }, tls, time)
  if ('refused' in judged) throw new Error('the pair is refused')
  const store = new CertificateStore({ tls, pair: judged.pair, now: () => time })
  const events: CertificateEvent[] = []
  const delays: number[] = []
  let next: () => unknown = () => {}
  const watch = new CertificateWatch(store, event => {
    events.push(event)
    throw new Error('a listener that throws')
  }, (callback, ms) => {
    next = callback
    delays.push(ms)
    return () => { next = () => {} }
  })
  return { store, events, delays, watch, tick: async (ms = delays.at(-1) ?? 0) => { time += ms; await next() } }
}

const write = (pair: { cert?: string, key?: string }) => {
  if (pair.cert !== undefined) writeFileSync(join(folder, 'live.cert'), pair.cert)
  if (pair.key !== undefined) writeFileSync(join(folder, 'live.key'), pair.key, { mode: 0o600 })
}
const live = { cert: join(folder, 'live.cert'), key: join(folder, 'live.key') }

t.test('two files, written one after the other', async t => {
  write(good)
  const { store, events, delays, watch, tick } = clockwork(live)
  watch.start()
  watch.start()
  await tick()
  t.strictSame([events, delays], [[], [60_000, 60_000]], 'nothing new')
  write({ cert: other.cert })
  await tick()
  t.equal(delays.at(-1), 250, 'a second look soon')
  t.strictSame(store.status().rejected, ['SECURE_API_TLS_KEY_MISMATCH'])
  t.equal(store.status().ok, false)
  write({ key: other.key })
  await tick()
  t.match(events, [{ type: 'certificate.replaced' }], 'and the moment between is not told')
  t.match(store.status(), { ok: true, rejected: [] })
  t.equal(delays.at(-1), 60_000)
  watch.stop()
  await tick()
  t.equal(delays.length, 4, 'stopped')
})

t.test('a broken pair is told once, and the old one stays', async t => {
  write(good)
  const { store, events, delays, watch, tick } = clockwork({ ...live, reload: '5 minutes' })
  const { fingerprint } = store.certificate
  watch.start()
  write({ cert: 'broken' })
  for (let look = 0; look < 8; look++) await tick()
  t.strictSame(delays, [300_000, 250, 500, 1000, 2000, 4000, 300_000, 300_000, 300_000])
  t.strictSame(events, [{ type: 'certificate.rejected', codes: ['SECURE_API_TLS_UNREADABLE'] }])
  t.equal(store.certificate.fingerprint, fingerprint)
  rmSync(live.cert)
  await tick()
  write({ cert: other.cert })
  await tick()
  t.equal(events.length, 2)
  t.match(events[1], { codes: ['SECURE_API_TLS_KEY_MISMATCH'] })
  write(good)
  await tick()
  t.match(events[2], { type: 'certificate.recovered' })
  t.equal(store.status().ok, true)
})

t.test('stopped while it looks', async t => {
  write(good)
  const { events, delays, watch, tick } = clockwork(live)
  watch.start()
  write(other)
  const look = tick()
  watch.stop()
  await look
  t.strictSame([events, delays.length], [[], 1], 'nothing is told, and no timer is left')
})

t.test('the end comes nearer', async t => {
  write(good)
  const { store, events, watch, tick } = clockwork({ ...live, reload: false })
  watch.start()
  for (const days of [60.5, 15.6, 0.1, 7, 6, 2]) await tick(days * day)
  t.match(events, ['renew', 'soon', 'urgent', 'last-day', 'expired'].map(stage => ({ type: 'certificate.expiring', stage })))
  t.equal(events.length, 5)
  t.match(store.status(), { ok: false, expiry: 'expired', daysLeft: -2 })
})

t.test('another certificate begins anew', async t => {
  write(good)
  const { events, watch, tick } = clockwork(live)
  watch.start()
  await tick(60.5 * day)
  await tick()
  write(other)
  await tick()
  t.match(events, ['expiring', 'replaced', 'expiring'].map(type => ({ type: `certificate.${type}` })))
  t.equal(events.length, 3, 'each stage is told once for each certificate')
})

t.test('a provider', async t => {
  let answer: () => unknown = () => good
  const { store, events, watch, tick } = clockwork({ provider: (() => answer()) as never })
  watch.start()
  await tick()
  answer = async () => other
  await tick()
  t.match(events, [{ type: 'certificate.replaced' }])
  answer = async () => { throw new Error('vault is sealed') }
  await tick()
  t.strictSame(store.status().rejected, ['SECURE_API_TLS_UNREADABLE'])
  answer = async () => ({ cert: 1 })
  await tick()
  t.strictSame(store.status().rejected, ['SECURE_API_TLS_UNREADABLE'])
  const [one, two] = [store.refresh(), store.refresh()]
  t.equal(one, two, 'asked once at a time')
  await one
})

t.test('servers', async t => {
  write(good)
  const tls = { ...live }
  const options = createServerOptions({ tls }, () => now).https as object
  const early = createServer(options)
  const store = certificateStoreOf(early)
  if (store === undefined) throw new Error('the store is not found')
  store.adopt(early)
  store.adopt(early)
  t.equal(store.status().servers, 1)
  write(other)
  t.match(await store.refresh(), { type: 'replaced' })
  const late = createServer(options)
  store.adopt(late)
  for (const server of [early, late]) {
    t.equal((server as Server & { cert: unknown }).cert, store.context.cert)
    t.equal(certificateStoreOf(server), store, 'found again after a reload')
  }
  late.emit('close')
  t.equal(store.status().servers, 1)
  t.equal(certificateStoreOf(createServer({})), undefined)
  t.equal(certificateStoreOf(createServer({ cert: readFileSync(live.cert) })), undefined, 'the same text is not the same object')
})

t.test('openssl reads what we say of a certificate', async t => {
  const { certificate } = inspect(good, [], now)
  const text = execFileSync('openssl', ['x509', '-in', good.certFile, '-noout', '-fingerprint', '-sha256'], { encoding: 'utf8' })
  t.ok(text.includes(certificate?.fingerprint ?? 'none'))
})
