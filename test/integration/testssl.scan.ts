import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { Server } from 'node:http'
import { join } from 'node:path'
import { promisify } from 'node:util'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import t, { type Test } from 'tap'
import { secureServer } from '../../lib/server/index.ts'
import secureApi from '../../plugins/index.ts'
import { program } from '../helpers/programs.ts'
import { listen } from '../helpers/server.ts'
import { authority, Certificates } from '../lib/server/certificates.ts'

const scanner = program({ names: ['testssl', 'testssl.sh'], package: 'testssl.sh' })
// Ten times what it takes: the scanner is a shell script, and as slow as the machine is busy.
t.setTimeout(1_500_000)
const certificates = new Certificates(t.testdir({}))
const ca = certificates.issue({ name: 'authority', extensions: authority })
const { cert, key } = certificates.issue({
  issuer: ca,
  extensions: ['basicConstraints=critical,CA:FALSE', 'subjectAltName=DNS:localhost,IP:127.0.0.1', 'keyUsage=critical,digitalSignature',
    'extendedKeyUsage=serverAuth']
})

interface Finding {
  readonly id: string
  readonly severity: string
  readonly finding: string
}

/** Some ids come more than once. */
type Report = readonly Finding[]

/**
 * Everything that asks nobody outside: protocols, ciphers, forward secrecy, preferences, certificate, headers, known vulnerabilities.
 * `--fast` lists only the first cipher of each protocol. That a server can offer TLS 1.1 here at all, tls.test.ts shows.
 */
const everything = ['-p', '-s', '-f', '-P', '-S', '-h', '-U', '--fast']

async function scan (url: string, checks: readonly string[]): Promise<Report> {
  const report = join(t.testdirName, `${new URL(url).port}.json`)
  const options = ['--quiet', '--color', '0', '--warnings', 'off', '--nodns', 'none', '--ip', '127.0.0.1', '--add-ca', ca.certFile,
    '--jsonfile', report]
  // The exit status counts findings and says nothing that the report does not.
  await promisify(execFile)(scanner, [...options, ...checks, `localhost:${new URL(url).port}`], { maxBuffer: 10_000_000 }).catch(() => {})
  return JSON.parse(readFileSync(report, 'utf8'))
}

async function serve (t: Test, options: object): Promise<string> {
  const app: FastifyInstance = Fastify({ ...options, forceCloseConnections: true } as FastifyServerOptions<Server>)
  t.teardown(() => app.close())
  await app.register(secureApi, { auth: false, audit: false, environment: 'production' })
  app.get('/', { config: { public: true } }, async () => 'ok')
  return await listen(app)
}

/** The authority of the test publishes no revocations. */
const explained: ReadonlySet<string> = new Set(['cert_revocation'])
/** WARN is a check that could not be made: those that matter are listed in `passed`. */
const harmless: ReadonlySet<string> = new Set(['OK', 'INFO', 'LOW', 'WARN'])

function findings (report: Report): string[] {
  return report.filter(({ id, severity }) => !harmless.has(severity) &&
    !explained.has(id)).map(({ id, severity, finding }) => `${severity} ${id}: ${finding}`)
}

function of (report: Report, wanted: string): Report {
  return report.filter(({ id }) => id === wanted)
}

/** The versions that are offered, and those that the scanner could not try. */
function versions (report: Report): string[] {
  const refused = (id: string) => of(report, id)[0]?.finding.startsWith('not offered')
  return ['SSLv2', 'SSLv3', 'TLS1', 'TLS1_1', 'TLS1_2', 'TLS1_3'].filter(id => refused(id) !== true)
}

/** Checks that the scan must have made, and found in order. RC4 is in the list LOW: `--fast` leaves the check of its own to OpenSSL. */
const passed = [
  'cipherlist_NULL', 'cipherlist_aNULL', 'cipherlist_EXPORT', 'cipherlist_LOW', 'PFS', 'cipher_order', 'cert_keySize',
  'cert_signatureAlgorithm', 'cert_trust',
  'cert_chain_of_trust', 'HSTS_time', 'heartbleed', 'CCS', 'ticketbleed', 'ROBOT', 'secure_renego', 'secure_client_renego', 'CRIME_TLS',
  'BREACH', 'POODLE_SSL',
  'fallback_SCSV', 'SWEET32', 'FREAK', 'DROWN', 'LOGJAM', 'BEAST', 'LUCKY13'
]

// HTTP/2 is on, so that one scan sees both protocols: half a minute of processor time goes by before a scan's first check.
t.test('no protocol under TLS 1.2 and no finding above LOW', async t => {
  const report = await scan(await serve(t, secureServer({ tls: { cert, key }, http2: true, environment: 'production' })), everything)
  t.strictSame(versions(report), ['TLS1_2', 'TLS1_3'])
  t.match(of(report, 'ALPN_HTTP2'), [{ finding: 'h2' }])
  t.strictSame(findings(report), [])
  t.strictSame(passed.filter(id => of(report, id)[0]?.severity !== 'OK'), [])
  t.comment(`${report.length} findings in ${of(report, 'scanTime')[0]?.finding} s`)
})
