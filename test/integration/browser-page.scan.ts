import { createHash, X509Certificate } from 'node:crypto'
import Fastify, { type FastifyInstance } from 'fastify'
import type { Page } from 'playwright-core'
import t from 'tap'
import { secureServer } from '../../lib/server/index.ts'
import secureApi, { type AuditEvent, type RouteHeaders } from '../../plugins/index.ts'
import { startChromium, startOrigin } from '../helpers/chromium.ts'
import { listen, until } from '../helpers/server.ts'
import { Certificates } from '../lib/server/certificates.ts'

/** Browsers send reports over TLS only: the page and its endpoint are served with a certificate that this one browser trusts. */
const { cert, key } = new Certificates(t.testdir({})).issue()
const fingerprint = createHash('sha256').update(new X509Certificate(cert).publicKey.export({
  type: 'spki',
  format: 'der'
})).digest('base64')
const browser = await startChromium(t, `--ignore-certificate-errors-spki-list=${fingerprint}`)

/** What the collector wrote into the audit trail, and the media types of what was sent to it. */
const violations: NonNullable<AuditEvent['violation']>[] = []
const types = new Set<string | undefined>()

function html (nonce: string): string {
  return `<!doctype html><title>page</title><link rel="icon" href="data:,">
    <style nonce="${nonce}">body { color: rgb(1, 2, 3) }</style><style>body { background-color: rgb(1, 2, 3) }</style>
    <body data-nonce="${nonce}"><button onclick="document.body.dataset.clicked = ''">click</button>
    <script nonce="${nonce}">document.body.dataset.nonced = ''</script>
    <script>document.body.dataset.injected = ''</script>`
}

const current: RouteHeaders = { profile: 'html', contentSecurityPolicy: { nonces: true } }
const older: RouteHeaders = { profile: 'html', contentSecurityPolicy: { nonces: true, directives: { 'report-to': false } } }

/** Browsers send to `report-to` and, as long as a policy has none, to `report-uri`. */
const pages = [
  { path: '/report-to', headers: current, type: 'application/reports+json' },
  { path: '/report-uri', headers: older, type: 'application/csp-report' }
]

const app: FastifyInstance = Fastify({ ...secureServer({ tls: { cert, key }, environment: 'development' }), forceCloseConnections: true })
t.teardown(() => app.close())
app.addHook('onRequest', async ({ method, headers }) => { if (method === 'POST') types.add(headers['content-type']) })
await app.register(secureApi, {
  auth: false,
  audit: { sink: ({ violation }) => { if (violation !== undefined) violations.push(violation) } },
  environment: 'development',
  headers: { reports: { path: '/reports' } }
})
for (const { path, headers } of pages) {
  app.get(path, { config: { public: true, headers } },
    async (_request, reply) => reply.type('text/html').send(html(reply.cspNonce?.script ?? '')))
}
app.get('/data', { config: { public: true } }, async () => 'data')
const url = await listen(app)

async function open (path: string): Promise<Page> {
  const page = await browser.newPage()
  await page.goto(url + path)
  return page
}

/** What happened to the page: the marks of its scripts and the styles that took effect. */
async function outcome (page: Page): Promise<unknown> {
  await page.click('button')
  return await page.evaluate(`({
    marks: Object.keys(document.body.dataset).sort(),
    color: getComputedStyle(document.body).color,
    background: getComputedStyle(document.body).backgroundColor
  })`)
}

const transparent = 'rgba(0, 0, 0, 0)'

t.test('of inline scripts and styles those with the nonce of the response run, and no others', async t => {
  const page = await open('/report-to')
  t.strictSame(await outcome(page), { marks: ['nonce', 'nonced'], color: 'rgb(1, 2, 3)', background: transparent })
  const first = await page.getAttribute('body', 'data-nonce')
  await page.reload()
  t.match(first, /^[\w+/]{22}==$/)
  t.not(await page.getAttribute('body', 'data-nonce'), first, 'another one for each response')
})

t.test('the page can call its own server and nothing else', async t => {
  const page = await open('/report-to')
  const calls = async (target: string) => await page.evaluate(async target => {
    try {
      return await (await fetch(target)).text()
    } catch {
      return 'blocked'
    }
  }, target)
  t.equal(await calls('/data'), 'data')
  t.equal(await calls(`${await startOrigin(t)}/`), 'blocked')
})

for (const path of ['/report-to', '/data']) {
  t.test(`another origin cannot frame ${path}`, async t => {
    const page = await browser.newPage()
    await page.goto(await startOrigin(t))
    const answered = page.waitForResponse(url + path)
    await page.setContent(`<iframe src="${url}${path}"></iframe>`)
    t.equal((await answered).status(), 200)
    await until(() => page.frames().some(frame => frame.url().startsWith('chrome-error:')), 'the refusal')
    await page.close()
  })
}

const violated = ['script-src-attr', 'script-src-elem', 'style-src-elem']

for (const { path, type } of pages) {
  t.test(`each violation of ${path} reaches the collector as ${type}`, async t => {
    violations.length = 0
    types.clear()
    const page = await open(path)
    await page.click('button')
    const reported = () => violations.filter(({ document, blocked }) => document === url + path &&
      blocked === 'inline').map(({ directive }) => directive)
    await until(() => violated.every(directive => reported().includes(directive)), 'the reports')
    t.strictSame([...new Set(reported())].sort(), violated)
    t.ok(types.has(type))
    t.ok(violations.every(({ disposition }) => disposition === 'enforce'))
    await page.close()
  })
}
