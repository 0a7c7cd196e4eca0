import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { secureApiCommand } from '../../cli/secure-api.ts'
import { fakeTerminal } from '../cli/terminal.ts'
import { openPage, startChromium } from '../helpers/chromium.ts'
import { desktop, looks, lowContrast } from '../helpers/page-looks.ts'

const hostile = '<img src=x onerror=globalThis.hit=1>'
const folder = t.testdir({})
const [trail, file] = [join(folder, 'audit.log'), join(folder, 'scopes.html')]

function calls (count: number, client: string, scopes: readonly string[], route: string, rule: unknown): string[] {
  const principal = { kind: 'user', subject: client, client, scopes }
  const ended = { time: '2026-11-01T00:00:00.000Z', event: 'api_access', outcome: 'allowed', status: 200 }
  const event = { ...ended, method: 'GET', route, rule, principal }
  return Array.from({ length: count }, () => JSON.stringify(event))
}

const wide = ['reports.read', 'reports.all', 'orders.read', 'orders.write', 'users.read', 'users.write', 'billing.read', 'billing.write']
writeFileSync(trail, [
  ...calls(200, 'reporting', wide, '/reports/:year/:month/:day/:hour', { scope: 'reports.read' }),
  ...calls(200, '0oa1b2c3d4e5f6g7h8i9-admin-console-production', ['users.read'], '/users', { scope: { any: ['users.read', 'x'] } }),
  ...calls(200, 'web', ['orders.read', 'legacy.import'], '/orders/:id', { scope: 'orders.read' }),
  ...calls(200, hostile, [hostile, 'a'], `/${hostile}`, { scope: 'a' }), ...calls(3, 'trial', ['a'], '/orders/:id', { scope: 'b' })
].join('\n'))

const browser = await startChromium(t)
const { terminal } = fakeTerminal()
t.equal(await secureApiCommand(['audit', 'report', trail, '--format', 'html', '--output', file], terminal), 0)

for (const [name, options] of looks) {
  t.test(`${name}: the page fits, is readable, complains of nothing, asks nobody and runs nothing`, async t => {
    const { page, complaints, requests } = await openPage(t, browser, options, pathToFileURL(file).href)
    t.ok(await page.evaluate('document.documentElement.scrollWidth <= document.documentElement.clientWidth'))
    t.strictSame(await page.evaluate(lowContrast), [], 'every text has the contrast of WCAG AA')
    t.strictSame(complaints, [])
    t.strictSame(requests.filter(url => url !== pathToFileURL(file).href && !url.startsWith('data:')), [])
    t.equal(await page.evaluate('globalThis.hit'), undefined)
    t.equal(await page.locator('main img, main script').count(), 0)
    t.match(await page.locator('main').textContent(), hostile)
  })
}

t.test('screen readers are told tables with names', async t => {
  const { page } = await openPage(t, browser, { viewport: desktop }, pathToFileURL(file).href)
  for (const name of ['Clients', 'Scopes', 'Routes']) t.equal(await page.getByRole('table', { name }).count(), 1)
  t.equal(await page.getByRole('table', { name: 'Clients' }).getByRole('row').count(), 6)
})
