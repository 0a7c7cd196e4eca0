import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { copyFileSync, mkdirSync } from 'node:fs'
import https from 'node:https'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { TLSSocket } from 'node:tls'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { createServerOptions } from '../../lib/server/index.ts'
import { createTestClock } from '../../testing/index.ts'
import { Rehearsal } from '../helpers/rehearsal.ts'
import { listen, until } from '../helpers/server.ts'
import { authority, Certificates, type Issued } from '../lib/server/certificates.ts'

const client = ['basicConstraints=critical,CA:FALSE', 'subjectAltName=DNS:billing.internal', 'extendedKeyUsage=clientAuth']
const routes = (app: FastifyInstance) => { app.get('/orders', { config: { authenticated: true } }, async ({ auth }) => auth.subject) }

/** A server with certificates of 90 days, on a clock that can be moved. The pages' folders lie in one of the test. */
async function start (t: Test) {
  const clock = createTestClock()
  t.teardown(() => { clock.close() })
  const folder = t.testdir({ made: {}, live: {}, new: {} })
  const certificates = new Certificates(join(folder, 'made'))
  const issue = (issuer?: Issued) => certificates.issue({ ...(issuer !== undefined && { issuer, extensions: client }) })
  const [old, clients] = [certificates.issue(), certificates.issue({ name: 'clients', extensions: authority })]
  const live = join(folder, 'live')
  copyFileSync(old.certFile, join(live, 'fullchain.pem'))
  copyFileSync(old.keyFile, join(live, 'privkey.pem'))
  copyFileSync(clients.certFile, join(live, 'clients.pem'))
  const names: Record<string, string> = { '/etc/tls': live }
  const rehearsal = new Rehearsal(t, 'certificate-rotation', names)
  const fastify = createServerOptions({
    tls: {
      cert: join(live, 'fullchain.pem'),
      key: join(live, 'privkey.pem'),
      clientCertificates: { ca: join(live, 'clients.pem'), required: false },
      reload: '1 day'
    },
    environment: 'development'
  }, () => clock.now())
  const instance = await rehearsal.start({
    auth: { clientCertificates: { from: 'tls', principals: [{ san: 'dns:billing.internal', subject: 'billing' }] } }
  }, { routes, fastify: fastify as object })
  await listen(instance.app)
  const { port } = instance.app.server.address() as AddressInfo
  Object.assign(names, { 'orders.example.com:443': `127.0.0.1:${port}`, 'orders.example.com': 'localhost' })
  const ask = async (as?: Issued) => {
    const request = https.get({ port, path: '/orders', agent: false, rejectUnauthorized: false, ...(as && { cert: as.cert, key: as.key }) })
    const [response] = await once(request, 'response') as [IncomingMessage]
    const { fingerprint256 } = (response.socket as TLSSocket).getPeerCertificate()
    return { status: response.statusCode, body: await text(response), fingerprint256 }
  }
  /** @param sign what the server is to say of it, where it is to see something */
  const shell = async (index: number, sign?: string) => {
    const ended = await rehearsal.shell(index, folder)
    await clock.advance('1 day')
    // A pair that is refused is looked at again within seconds. On a busy machine such a look may run by itself beside the clock.
    await until(async () => {
      await clock.advance('1 minute')
      return sign === undefined || instance.lines.some(({ type }) => type === sign)
    }, String(sign))
    return ended
  }
  return { clock, folder, certificates, clients, issue, rehearsal, instance, ask, shell }
}

function offer (folder: string, cert: Issued, key: Issued): void {
  mkdirSync(join(folder, 'new'), { recursive: true })
  copyFileSync(cert.certFile, join(folder, 'new/fullchain.pem'))
  copyFileSync(key.keyFile, join(folder, 'new/privkey.pem'))
}

t.test('the certificates of a server and of its clients end', async t => {
  const { clock, folder, issue, rehearsal, instance, ask, shell } = await start(t)
  await clock.advance('82 days')
  offer(folder, issue(), issue())
  t.not((await shell(0)).code, 0, 'the check of the page sees that they do not belong together')
  t.equal((await shell(1, 'certificate.rejected')).code, 0)
  await rehearsal.see('Signs', async at => {
    const here = at(instance)
    here.log('certificate.expiring', { stage: 'urgent', daysLeft: 6 })
    here.log('SECURE_API_CERTIFICATE_EXPIRING', { certificate: { name: 'client-ca' } })
    here.status('certificates[].daysLeft', 5)
    here.status('tls.expiry', 'urgent')
    for (const name of ['server', 'client-ca']) {
      await here.metric('secure_api.certificate.remaining', days => days < 7, { 'secure_api.certificate': name })
    }
    here.log('certificate.rejected', { codes: ['SECURE_API_TLS_KEY_MISMATCH'] })
    here.status('tls.rejected', (codes: unknown) => String(codes) === 'SECURE_API_TLS_KEY_MISMATCH')
  })
  t.equal((await ask()).status, 401, 'the old certificate is served')
})

t.test('only a pair that fits is served', async t => {
  const { clock, folder, certificates, clients, issue, rehearsal, instance, ask, shell } = await start(t)
  const before = await ask(issue(clients))
  t.match(before, { status: 200, body: 'billing' })
  offer(folder, issue(), issue())
  t.equal((await shell(1, 'certificate.rejected')).code, 0)
  t.equal((await ask()).fingerprint256, before.fingerprint256)

  // 84 days later, with certificates that are made then: openssl dates them by the machine's clock, so they last longer.
  await clock.advance('80 days')
  const renewed = certificates.issue({ days: 180 })
  offer(folder, renewed, renewed)
  const [nextClients, check] = [certificates.issue({ name: 'clients 2', days: 180, extensions: authority }), await shell(0)]
  t.equal(check.code, 0, check.output)
  t.match(check.output, /CN ?= ?localhost/)
  copyFileSync(nextClients.certFile, join(folder, 'new/clients.pem'))
  t.strictSame([(await shell(1, 'certificate.replaced')).code, (await shell(2)).code], [0, 0])
  t.strictSame([(await ask(issue(nextClients))).status, (await ask(issue(clients))).status], [200, 200], 'both authorities count')
  await rehearsal.see('It is over when', async at => {
    const here = at(instance)
    here.log('certificate.replaced')
    here.status('tls.ok', true)
    here.status('tls.expiry', 'valid')
    await here.metric('secure_api.certificate.remaining', days => days >= 30, { 'secure_api.certificate': 'server' })
  })
  const seen = await rehearsal.shell(0, folder, {}, 'It is over when')
  t.equal(seen.output.trim(), `notAfter=${new X509Certificate(renewed.cert).validTo}`)
})
