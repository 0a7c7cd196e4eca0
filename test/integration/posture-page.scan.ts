import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { BrowserContextOptions, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { compiledCommand } from '../cli/compiled.ts'
import { openPage, startChromium } from '../helpers/chromium.ts'
import { looks, lowContrast, desktop, phone } from '../helpers/page-looks.ts'

/** Pictures of the page land here, to be looked at; those in docs/images were taken so. */
const root = fileURLToPath(new URL('../..', import.meta.url))
const pictures = join(root, '.build/screenshots')
mkdirSync(pictures, { recursive: true })

const folder = t.testdir({})
const file = join(folder, 'routes.html')
const baseline = join(folder, 'baseline.json')
writeFileSync(baseline, JSON.stringify({
  version: 1,
  accepted: [{ code: 'SECURE_API_POSTURE_PUBLIC_WILDCARD', route: 'GET /docs/*', detail: '', why: 'static files' }]
}))
const command = compiledCommand(t)
const writePage = async (...args: readonly string[]) => await command.run(['routes', '--html', ...args],
  join(command.folder, 'test/cli/fixtures'))
const written = await writePage('orders.js', '--output', file, '--baseline', baseline)

const browser = await startChromium(t)

const open = async (t: Test, options: BrowserContextOptions) => await openPage(t, browser, options, pathToFileURL(file).href)

t.test('the command says nothing but the page', async t => {
  t.strictSame(written, { code: 0, stdout: '', stderr: '' })
})

for (const [name, options] of looks) {
  t.test(`${name}: the page fits, is readable, complains of nothing and asks nobody`, async t => {
    const { page, complaints, requests } = await open(t, options)
    const [width, room] = await page.evaluate<[number,
      number]>('[document.documentElement.scrollWidth, document.documentElement.clientWidth]')
    t.ok(width <= room, `${width} pixels of content in ${room}`)
    t.strictSame(await page.evaluate(lowContrast), [], 'every text has the contrast of WCAG AA')
    t.strictSame(complaints, [])
    t.strictSame(requests.filter(url => url !== pathToFileURL(file).href && !url.startsWith('data:')), [])
    await page.screenshot({ path: join(pictures, `findings-${name}.png`) })
    await page.evaluate('document.querySelector("#routes").scrollIntoView()')
    await page.screenshot({ path: join(pictures, `routes-${name}.png`) })
  })
}

const shownRows = async (page: Page) => await page.locator('tbody tr:visible').count()

t.test('filters leave the rows that fit all of them, and say how many', async t => {
  const { page } = await open(t, { viewport: desktop })
  const all = await shownRows(page)
  t.equal(all, 16)
  await page.getByLabel('Method').selectOption('POST')
  t.equal(await shownRows(page), 4)
  await page.getByLabel('Access').selectOption('public')
  t.equal(await shownRows(page), 2)
  t.equal(await page.getByRole('status').textContent(), '2 of 16 routes')
  await page.getByLabel('With findings only').check()
  t.strictSame(await page.locator('tbody tr:visible code.path').allTextContents(), ['/login'])
  await page.getByRole('button', { name: 'Reset' }).click()
  await page.waitForFunction('document.querySelectorAll("tbody tr[hidden]").length === 0')
  await page.getByLabel('Search').fill('ORDER-owner api.write')
  t.strictSame(await page.locator('tbody tr:visible .method').allTextContents(), ['PUT'])
  await page.getByLabel('Search').fill('nothing like it')
  t.equal(await shownRows(page), 0)
  t.ok(await page.getByText('No route fits these filters.').isVisible())
})

t.test('a finding leads to its route, also when a filter hides it', async t => {
  const { page } = await open(t, { viewport: desktop })
  await page.getByLabel('Search').fill('health')
  await page.getByRole('link', { name: 'POST /login' }).click()
  await page.waitForFunction('document.querySelector("tr:target")?.checkVisibility()')
  t.equal(await page.locator('tr:target code.path').textContent(), '/login')
  t.equal(await page.evaluate(`document.querySelector('tr:target').getBoundingClientRect().top >=
    document.querySelector('th').getBoundingClientRect().bottom`), true, 'the heads of the columns do not cover it')
  t.strictSame(await page.evaluate(lowContrast), [], 'the row that is pointed out is readable too')
})

t.test('everything can be reached with the keyboard, and the focus is seen', async t => {
  const { page } = await open(t, { viewport: desktop })
  await page.keyboard.press('Tab')
  t.equal(await page.evaluate('document.activeElement.className'), 'skip')
  await page.keyboard.press('Enter')
  const reached: string[] = []
  for (let presses = 0; presses < 5; presses++) {
    await page.keyboard.press('Tab')
    reached.push(await page.evaluate('document.activeElement.name || document.activeElement.type'))
    t.not(await page.evaluate('getComputedStyle(document.activeElement).outlineStyle'), 'none')
  }
  t.strictSame(reached, ['search', 'method', 'access', 'found', 'reset'])
  await page.locator('h1').click()
  await page.keyboard.press('/')
  t.equal(await page.evaluate('document.activeElement.name'), 'search')
})

t.test('screen readers are told a table, on a phone too', async t => {
  for (const viewport of [desktop, phone]) {
    const { page } = await open(t, { viewport })
    t.equal(await page.getByRole('table').getByRole('row').count(), 17)
    t.equal(await page.getByRole('cell', { name: 'GET', exact: true }).count() > 0, true)
  }
})

t.test('on paper it is black on white, whole, and without filters', async t => {
  const { page } = await open(t, { viewport: desktop, colorScheme: 'dark' })
  await page.emulateMedia({ media: 'print' })
  t.notOk(await page.locator('form.filters').isVisible())
  t.equal(await page.evaluate('getComputedStyle(document.body).backgroundColor'), 'rgb(255, 255, 255)')
  t.strictSame(await page.evaluate(lowContrast), [])
  const pdf = await page.pdf({ preferCSSPageSize: true, path: join(pictures, 'routes.pdf') })
  t.equal(pdf.subarray(0, 5).toString(), '%PDF-')
})

t.test('without scripts all routes are shown, and no filters that would not work', async t => {
  const { page } = await open(t, { viewport: desktop, javaScriptEnabled: false })
  t.equal(await shownRows(page), 16)
  t.notOk(await page.locator('form.filters').isVisible())
})

t.test('markup in names stays text, and a script in them never runs', async t => {
  const hostile = join(folder, 'hostile.html')
  await writePage('hostile.js', '--output', hostile)
  const page = await browser.newPage()
  const complaints: string[] = []
  page.on('console', message => { complaints.push(message.text()) })
  await page.goto(pathToFileURL(hostile).href)
  t.equal(await page.evaluate('globalThis.hit'), undefined)
  t.equal(await page.locator('tbody img, tbody script').count(), 0)
  t.match(await page.locator('tbody').textContent(), '<img/src=x/onerror=hit=1>')
  t.strictSame(complaints, [])
  await page.close()
})
