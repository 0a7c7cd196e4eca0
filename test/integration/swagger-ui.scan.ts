import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { Browser, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { startProvider } from '../../examples/orders/provider.ts'
import secureApi, { type SecureApiOptions } from '../../plugins/index.ts'
import { startChromium } from '../helpers/chromium.ts'
import { listen, startFastify } from '../helpers/server.ts'

/** Where screenshots go when somebody wants to look at them: `SCREENSHOTS=docs/images npx tap run …`. */
const screenshots = process.env.SCREENSHOTS
const audience = 'api://orders'
/** A real OpenID provider: swagger-ui reads its metadata from the page. */
const provider = await startProvider({ audience })
t.teardown(() => provider.close())
const browser: Browser = await startChromium(t)

const order = { type: 'object', properties: { id: { type: 'integer' }, item: { type: 'string' } } }

/** An API with its documentation, and all requests that reached it. */
async function serve (t: Test, suite: Partial<SecureApiOptions> = {}): Promise<string> {
  const app = startFastify(t, { forceCloseConnections: true })
  await app.register(swagger, { openapi: { openapi: '3.1.0', info: { title: 'Orders', version: '1.0.0' } } })
  await app.register(secureApi, {
    auth: { issuer: provider.issuer, audience },
    openapi: { ui: { public: true } },
    audit: false,
    environment: 'development',
    ...suite
  })
  await app.register(swaggerUi)
  app.get('/orders', {
    config: { scope: 'api.read' },
    schema: { tags: ['orders'], summary: 'All orders', response: { 200: { type: 'array', items: order } } }
  },
  async () => [{ id: 1, item: 'tea' }])
  app.post('/orders', { config: { scope: 'api.write', role: 'admin' }, schema: { tags: ['orders'], summary: 'A new order', body: order } },
    async () => ({ id: 2 }))
  app.delete('/orders/:id', {
    config: { scope: { any: ['api.write', 'api.admin'] } },
    schema: { tags: ['orders'], summary: 'Cancels an order' }
  }, async () => ({}))
  app.get('/profile', { config: { authenticated: true }, schema: { tags: ['callers'], summary: 'Who calls' } },
    async ({ auth }) => ({ subject: auth.subject }))
  app.get('/health', { config: { public: true }, schema: { tags: ['callers'], summary: 'Whether it runs' } }, async () => ({ ok: true }))
  return await listen(app)
}

interface Opened {
  readonly page: Page
  /** What the browser says in its console as an error. */
  readonly errors: string[]
}

async function open (url: string, viewport: { width: number, height: number }): Promise<Opened> {
  const page = await browser.newPage({ viewport })
  const errors: string[] = []
  page.on('console', message => { if (message.type() === 'error') errors.push(`${message.text()} ${message.location().url}`) })
  page.on('pageerror', error => { errors.push(String(error)) })
  await page.goto(`${url}/documentation`)
  await page.waitForSelector('.opblock')
  return { page, errors }
}

async function look (page: Page, name: string): Promise<void> {
  if (screenshots === undefined) return
  mkdirSync(screenshots, { recursive: true })
  await page.screenshot({ path: join(screenshots, `swagger-${name}.png`) })
}

const summaries = (page: Page) => page.$$eval('.opblock',
  blocks => blocks.map(block => [block.querySelector('.opblock-summary-method')?.textContent,
    block.querySelector('.opblock-summary-path')?.textContent?.replaceAll('\u200b', '')].join(' ')))

async function authorize (page: Page, token: string, picture: string): Promise<string> {
  await page.click('.auth-wrapper .authorize')
  const dialog = page.locator('.dialog-ux .modal-ux')
  await dialog.waitFor()
  const text = await dialog.innerText()
  await dialog.locator('.auth-container', { hasText: 'bearerAuth' }).locator('input').fill(token)
  await look(page, picture)
  await dialog.locator('.auth-container', { hasText: 'bearerAuth' }).locator('button.authorize').click()
  await dialog.locator('.btn-done').last().click()
  return text
}

/** Sends the request of an operation and returns the status that the page shows. */
async function tryOut (page: Page, selector: string): Promise<string> {
  const block = page.locator(selector)
  if (await block.locator('.opblock-body').count() === 0) await block.locator('.opblock-summary-control').click()
  await block.locator('.try-out__btn').waitFor() // the page draws it after the click
  const start = block.locator('.try-out__btn:not(.cancel)')
  if (await start.count() > 0) await start.click()
  // Not the pages, nor the metadata of the provider.
  const isOfApi = (url: URL) => url.origin === new URL(page.url()).origin && !url.pathname.startsWith('/documentation')
  const answered = page.waitForResponse(response => isOfApi(new URL(response.url())))
  await block.locator('.execute').click()
  const status = String((await answered).status())
  // Until the page has drawn it, the answer before stands there.
  await block.locator('.live-responses-table .response-col_status', { hasText: status }).last().waitFor()
  return status
}

/** What a browser says of answers that are meant to be refusals. */
const refused = /the server responded with a status of 40[13]/

/** On the phone the application asks for nonces on top, which the pages do not need and must bear. */
const variants: Record<string, { viewport: { width: number, height: number }, suite?: Partial<SecureApiOptions> }> = {
  desktop: { viewport: { width: 1280, height: 900 } },
  phone: { viewport: { width: 390, height: 844 }, suite: { headers: { contentSecurityPolicy: { nonces: true } } } }
}

for (const [name, { viewport, suite }] of Object.entries(variants)) {
  t.test(`the page shows every operation, authorizes and calls, and the browser has nothing to object: ${name}`, async t => {
    const url = await serve(t, suite)
    const { page, errors } = await open(url, viewport)
    t.strictSame((await summaries(page)).sort(), ['DELETE /orders/{id}', 'GET /health', 'GET /orders', 'GET /profile', 'POST /orders'])
    t.equal(await page.evaluate('document.documentElement.scrollWidth <= window.innerWidth'), true, 'nothing is cut off at the side')
    await look(page, name)

    const list = '#operations-orders-get_orders'
    t.equal(await tryOut(page, list), '401')
    const dialog = await authorize(page, await provider.token({ scope: 'api.read', user: 'alice' }), `authorize-${name}`)
    t.match(dialog, /bearerAuth\s+\(http, Bearer\)/)
    t.match(dialog, /openIdConnect\s+\(OAuth2, authorization_code\)/)
    t.equal(await tryOut(page, list), '200')
    await page.locator(list).locator('.live-responses-table').scrollIntoViewIfNeeded()
    await look(page, `answer-${name}`)
    t.equal(await tryOut(page, '#operations-orders-post_orders'), '403')
    t.strictSame(errors.filter(error => !refused.test(error)), [])
    await page.close()
  })
}

/** The parts of a provider that a browser meets, for a client it knows: it signs everybody in at once. */
async function startSignIn (t: Test, token: string): Promise<string> {
  const server = createServer((request, response) => {
    const origin = `http://${request.headers.host}`
    const { pathname, searchParams } = new URL(request.url ?? '', origin)
    const json = (value: unknown) => response.writeHead(200,
      {
        'content-type': 'application/json',
        'access-control-allow-origin': '*',
        'access-control-allow-headers': '*'
      }).end(JSON.stringify(value))
    if (pathname === '/token') return json({ access_token: token, token_type: 'Bearer' })
    if (pathname !== '/auth') {
      return json({
        issuer: origin,
        authorization_endpoint: `${origin}/auth`,
        token_endpoint: `${origin}/token`,
        grant_types_supported: ['authorization_code'],
        scopes_supported: ['api.read']
      })
    }
    const location = new URL(searchParams.get('redirect_uri') ?? '')
    location.search = String(new URLSearchParams({ code: 'once', state: searchParams.get('state') ?? '' }))
    return response.writeHead(302, { location: location.href }).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close().closeAllConnections() })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

t.test('the page signs in at the provider, in a window that finds its way back', async t => {
  const signIn = await startSignIn(t, await provider.token({ scope: 'api.read', user: 'alice' }))
  const url = await serve(t, { openapi: { ui: { public: true }, openIdConnect: [`${signIn}/.well-known/openid-configuration`] } })
  const { page, errors } = await open(url, { width: 1280, height: 900 })
  await page.click('.auth-wrapper .authorize')
  const flow = page.locator('.auth-container', { hasText: 'openIdConnect' })
  await flow.locator('#client_id_authorizationCode, #client_id_authorization_code').first().fill('docs')
  await flow.locator('button.authorize').click()
  await flow.locator('button', { hasText: 'Logout' }).waitFor()
  await page.locator('.btn-done').last().click()
  t.equal(await tryOut(page, '#operations-orders-get_orders'), '200')
  t.strictSame(errors, [])
  await page.close()
})

t.test('without `ui` the pages are closed', async t => {
  const url = await serve(t, { openapi: {} })
  const page = await browser.newPage()
  t.equal((await page.goto(`${url}/documentation`))?.status(), 401)
  await page.close()
})
