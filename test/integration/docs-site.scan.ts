import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import fastifyStatic from '@fastify/static'
import Fastify from 'fastify'
import type { BrowserContextOptions } from 'playwright-core'
import t, { type Test } from 'tap'
import { contents } from '../../docs/.vitepress/contents.ts'
import { openPage, startChromium } from '../helpers/chromium.ts'
import { until } from '../helpers/server.ts'

/** Pictures of the site land here, to be looked at. */
const root = fileURLToPath(new URL('../..', import.meta.url))
const pictures = join(root, '.build/screenshots')
mkdirSync(pictures, { recursive: true })

const site = join(t.testdir({}), 'site')
// Ends with a failure at a link that leads to no page.
await promisify(execFile)(process.execPath, [join(root, 'node_modules/vitepress/bin/vitepress.js'), 'build', 'docs', '--outDir', site],
  { cwd: root, env: { ...process.env, NODE_OPTIONS: '' } })
const server = Fastify({ forceCloseConnections: true })
await server.register(fastifyStatic, { root: site, extensions: ['html'] })
const origin = await server.listen({ host: '127.0.0.1', port: 0 })
t.teardown(() => server.close())
const browser = await startChromium(t)

const open = async (t: Test, options: BrowserContextOptions, path: string) => await openPage(t, browser, options, `${origin}${path}`)
const isForeign = (url: string) => !url.startsWith(origin) && !url.startsWith('data:')

const phone = { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true } as const
const looks: ReadonlyArray<readonly [name: string, options: BrowserContextOptions, paths: readonly string[]]> = [
  ['desktop', { viewport: { width: 1280, height: 800 }, colorScheme: 'light' }, ['/', '/architecture']],
  ['desktop-dark', { viewport: { width: 1280, height: 800 }, colorScheme: 'dark' }, ['/getting-started']],
  ['phone', { ...phone, colorScheme: 'light' }, ['/getting-started', '/reference', '/architecture']],
  ['phone-dark', { ...phone, colorScheme: 'dark' }, ['/getting-started']]
]

for (const [name, options, paths] of looks) {
  t.test(`${name}: the pages fit, complain of nothing and ask nobody else`, async t => {
    for (const path of paths) {
      const { page, complaints, requests } = await open(t, options, path)
      const [width, room] = await page.evaluate<[number, number]>(
        '[document.documentElement.scrollWidth, document.documentElement.clientWidth]')
      t.ok(width <= room, `${path}: ${width} pixels of content in ${room}`)
      t.strictSame(complaints, [], path)
      t.strictSame(requests.filter(isForeign), [], path)
      t.equal(await page.evaluate('document.documentElement.classList.contains("dark")'), options.colorScheme === 'dark')
      await page.screenshot({ path: join(pictures, `site-${path === '/' ? 'index' : path.slice(1)}-${name}.png`) })
    }
  })
}

t.test('search finds a code, and leads to its heading', async t => {
  const { page } = await open(t, { viewport: { width: 1280, height: 800 } }, '/')
  const input = page.locator('#localsearch-input')
  // Until its script has run the button does nothing.
  await until(async () => {
    if (!await input.isVisible()) await page.locator('#local-search button').click({ timeout: 1000 }).catch(() => {})
    return await input.isVisible()
  }, 'the search')
  await input.fill('SECURE_API_CORS_NULL_ORIGIN')
  const first = page.locator('#localsearch-list a').first()
  await first.waitFor()
  await page.screenshot({ path: join(pictures, 'site-search-desktop.png') })
  await first.click()
  await page.waitForURL(`${origin}/errors#secure_api_cors_null_origin`)
  // The address changes before the page of it is drawn.
  await page.locator('#secure_api_cors_null_origin').waitFor({ state: 'attached' })
  t.equal(await page.locator('#secure_api_cors_null_origin').count(), 1)
})

t.test('every page is in the side bar, in the order of docs/README.md', async t => {
  const { sections } = contents(readFileSync(join(root, 'docs/README.md'), 'utf8'))
  const { page } = await open(t, { viewport: { width: 1280, height: 800 } }, '/')
  const shown = await page.locator('.VPSidebar a').evaluateAll(links => links.map(link => String(Reflect.get(link, 'pathname'))))
  t.strictSame(shown, sections.flatMap(({ items }) => items.map(({ link }) => link)))
  t.ok(shown.length > 35, `${shown.length} pages`)
})

t.test('a link into the source leads to the repository, or nowhere while there is none', async t => {
  const { page } = await open(t, { viewport: { width: 1280, height: 800 } }, '/threat-model')
  const links = await page.locator('.vp-doc a').evaluateAll(found => found.map(link => String(Reflect.get(link, 'href'))))
  t.ok(links.length > 0)
  t.strictSame(links.filter(link => link.startsWith(origin) && /\.ts(#|$)/.test(link)), [])
})
