import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { startChromium } from '../helpers/chromium.ts'
import { recipe, recipeIssuer, runRecipe } from '../helpers/recipes.ts'
import { listen, startFastify, until } from '../helpers/server.ts'

/** Where screenshots go when somebody wants to look at them: `SCREENSHOTS=/tmp npx tap run …`. */
const screenshots = process.env.SCREENSHOTS
const { suite, token } = recipeIssuer()
const caller = token({ iss: 'https://login.example.com', aud: 'api://orders', sub: 'alice', scope: 'orders.read' })
const browser: Browser = await startChromium(t)

async function serve (t: Test, page: string, modules: Record<string, unknown> = {}): Promise<string> {
  const app = startFastify(t, { forceCloseConnections: true })
  await runRecipe(recipe(page)[0] ?? '', { app, suite, modules })
  return await listen(app)
}

/** The page with GraphiQL, which looks at the environment. */
async function serveGraphiql (t: Test, environment: 'development' | 'production'): Promise<string> {
  const before = process.env.NODE_ENV
  process.env.NODE_ENV = environment
  try {
    return await serve(t, 'graphiql')
  } finally {
    if (before === undefined) delete process.env.NODE_ENV
    else process.env.NODE_ENV = before
  }
}

interface Opened {
  readonly page: Page
  /** What the browser says in its console as an error. */
  readonly errors: string[]
  readonly origins: Set<string>
}

async function open (t: Test): Promise<Opened> {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } })
  t.teardown(() => page.close())
  const errors: string[] = []
  const origins = new Set<string>()
  page.on('console', message => { if (message.type() === 'error') errors.push(`${message.text()} ${message.location().url}`) })
  page.on('pageerror', error => { errors.push(String(error)) })
  page.on('request', request => { if (!request.url().startsWith('data:')) origins.add(new URL(request.url()).origin) })
  return { page, errors, origins }
}

async function look (page: Page, name: string): Promise<void> {
  if (screenshots === undefined) return
  mkdirSync(screenshots, { recursive: true })
  await page.screenshot({ path: join(screenshots, `${name}.png`) })
}

t.test('17.12: docs/recipes/scalar.md: the page shows the operations, and the browser has nothing to object', async t => {
  const url = await serve(t, 'scalar', { '@scalar/fastify-api-reference': await import('@scalar/fastify-api-reference') })
  const { page, errors, origins } = await open(t)
  await page.goto(`${url}/docs`)
  await page.getByText('All orders').first().waitFor()
  await page.getByText('/orders').first().waitFor()
  await look(page, 'scalar')
  t.strictSame(errors, [])
  t.strictSame([...origins], [url], 'nothing is asked of another server')
  const status = await page.evaluate(`fetch('/orders', { headers: ${JSON.stringify(caller)} }).then(({ status }) => status)`)
  t.equal(status, 200)
  t.equal((await fetch(`${url}/orders`)).status, 401)
  t.equal((await fetch(`${url}/reference/openapi.json`)).headers.get('access-control-allow-origin'), '*', 'as the page says')
  const plugin = await open(t)
  await plugin.page.goto(`${url}/reference/`)
  await until(() => plugin.errors.length >= 2, 'what the browser says')
  t.match(plugin.errors, [/Content Security Policy/, /Content Security Policy/], "the plugin's own page")
  const [first, second] = await Promise.all([fetch(`${url}/docs`), fetch(`${url}/docs`)])
  t.not(first.headers.get('content-security-policy'), second.headers.get('content-security-policy'), 'a nonce for each answer')
})

/** What the scripts of unpkg.com define, as far as mercurius's own script calls it. */
const standIns: Readonly<Record<string, string>> = {
  'https://unpkg.com/react@18.3.1/umd/react.production.min.js': 'window.React = { createElement: (type, props) => props }',
  'https://unpkg.com/react-dom@18.3.1/umd/react-dom.production.min.js': `window.ReactDOM = { render: async ({ fetcher }, element) => {
    element.textContent = JSON.stringify(await fetcher({ query: '{ hello }' }))
  } }`,
  'https://unpkg.com/graphiql@3.8.3/graphiql.min.js': `window.GraphiQL = { createFetcher: ({ url }) => async body => (await fetch(url, {
    method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json', ...${JSON.stringify(caller)} }
  })).json() }`
}

t.test('17.12: docs/recipes/graphiql.md: the page, its scripts and its call pass, and a script of another origin does not', async t => {
  const url = await serveGraphiql(t, 'development')
  const { page, errors } = await open(t)
  const asked: string[] = []
  await page.route(/^https:/, async route => {
    const address = route.request().url()
    asked.push(address)
    const type = address.endsWith('.css') ? 'text/css' : 'text/javascript'
    await route.fulfill({ body: standIns[address] ?? '', headers: { 'content-type': type, 'access-control-allow-origin': '*' } })
  })
  await page.goto(`${url}/graphiql`)
  await page.getByText('{"data":{"hello":"hello"}}').waitFor()
  await look(page, 'graphiql')
  t.strictSame(errors, [])
  t.strictSame(asked.sort(), [...Object.keys(standIns), 'https://unpkg.com/graphiql@3.8.3/graphiql.min.css'].sort())
  await page.evaluate(`new Promise(resolve => {
    const script = document.createElement('script')
    script.src = 'https://unpkg.com/evil@1.0.0/evil.js'
    script.onerror = script.onload = resolve
    document.body.append(script)
  })`)
  await until(() => errors.length > 0, 'what the browser says')
  t.match(errors, [/Content Security Policy/])
  t.equal((await fetch(`${url}/graphql?query={hello}`)).status, 401)
})

t.test('17.12: docs/recipes/graphiql.md: in production there is no page, and the boot succeeds', async t => {
  const url = await serveGraphiql(t, 'production')
  t.equal((await fetch(`${url}/graphiql`)).status, 404)
})
