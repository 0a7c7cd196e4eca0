import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { usageFindingCodes } from '../cli/audit/report-codes.ts'
import { prometheusName } from '../examples/prometheus/prom-client.ts'
import { eventName } from '../lib/audit/event.ts'
import { configurationCodes } from '../lib/config/index.ts'
import { answers } from '../lib/http/index.ts'
import { instruments } from '../plugins/index.ts'
import { headings, places, runbook, runbookPage, signsIn, type Place, type RunbookPage } from './helpers/runbook.ts'

const read = (name: string) => readFileSync(new URL(`../docs/${name}`, import.meta.url), 'utf8')
const known = new Map<string, readonly string[]>(instruments.map(instrument =>
  [prometheusName(instrument), instrument.attributes.map(name => name.replaceAll('.', '_'))]))

interface Dashboard {
  readonly panels: ReadonlyArray<{ readonly targets: ReadonlyArray<{ readonly expr: string, readonly legendFormat: string }> }>
}

const dashboard = JSON.parse(read('operations/grafana-dashboard.json')) as Dashboard
const targets = dashboard.panels.flatMap(({ targets }) => targets)
const rules = read('operations/alerts.yml')

/** What `text` names, without the endings of a histogram. */
const metricsIn = (text: string) => [...new Set([...text.matchAll(/\bsecure_api_\w+/g)]
  .map(([name]) => name.replace(/_(bucket|sum|count)$/, ending => known.has(name) ? ending : ''))
  .filter(name => !labels.has(name)))]
const labels = new Set([...known.values()].flat())

t.test('docs/operations/metrics.md has each metric with its unit and its attributes, and no other', async t => {
  const rows = read('operations/metrics.md').split('\n').flatMap(line => {
    const [, name = '', kind = '', attributes = ''] = line.split('|').map(cell => cell.trim())
    return /^`secure_api\.[\w.]+`$/.test(name) && /^(counter|gauge|histogram)/.test(kind) ? [[name, kind, attributes]] : []
  })
  t.strictSame(rows, instruments.map(({ name, kind, unit, attributes }) => [
    `\`${name}\``,
    [kind.replace('observable-', ''), ...(unit === '' ? [] : [`\`${unit}\``])].join(', '),
    attributes.map(attribute => `\`${attribute}\``).join(', ')
  ]))
})

t.test('the dashboard asks for every metric, and for no other', async t => {
  const named = metricsIn(targets.map(({ expr }) => expr).join('\n'))
  t.strictSame(named.sort(), [...known.keys()].sort())
})

t.test('the alert rules, and their test, name metrics that exist', async t => {
  for (const text of [rules, read('operations/alerts.test.yml')]) t.strictSame(metricsIn(text).filter(name => !known.has(name)), [])
  t.ok(metricsIn(rules).length > 10)
})

t.test('labels are those of a metric', async t => {
  for (const text of [...targets.flatMap(({ expr, legendFormat }) => [expr, legendFormat]), rules]) {
    for (const [name] of text.matchAll(/\b(?:secure_api_\w+|http_route)\b/g)) {
      t.ok(labels.has(name) || metricsIn(name).every(metric => known.has(metric)), name)
    }
  }
})

t.test('every alert has a test that it fires', async t => {
  const test = read('operations/alerts.test.yml')
  for (const [, name = ''] of rules.matchAll(/alert: (\w+)/g)) t.match(test, `alertname="${name}"`, name)
})

t.test('each channel of the page is published by the code, and the other way round', async t => {
  const listed = [...read('operations/metrics.md').matchAll(/^\| `(secure-api:[\w-]+)`/gm)].map(([, name]) => name)
  const files = [
    'lib/keys/key-ring', 'lib/redis/circuit-breaker', 'lib/introspection/client', 'lib/tokens/denylist', 'lib/limits/channel',
    'lib/telemetry/measure', 'plugins/request-watch', 'plugins/audit', 'plugins/tls'
  ]
  const made = files.flatMap(file => [...read(`../${file}.ts`).matchAll(/\bchannel\('([^']+)'\)/g)].map(([, name]) => name))
  t.strictSame(listed.sort(), made.sort())
})

t.test('the recipe shows the file of the example', async t => {
  const file = read('../examples/prometheus/prom-client.ts').replace('../../plugins/index.ts', 'fastify-secure-api')
  t.ok(read('recipes/prometheus.md').includes(file))
})

const root = fileURLToPath(new URL('..', import.meta.url))
const pages = runbook().map(name => ({ name, ...runbookPage(name) }))
/** `SecureApiKeysStale`: what it asks for, and the page that it names. */
const alerts = new Map([...rules.matchAll(/- alert: (\w+)\n(.*?)runbook: (\S+)/gs)].map(([, name = '', body = '', page = '']) =>
  [name, { metrics: metricsIn(body), page }]))

function sourcesIn (...folders: string[]): string {
  return folders.flatMap(folder => readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts')).map(name => readFileSync(join(root, folder, name), 'utf8'))).join('\n')
}

const suite = sourcesIn('lib', 'plugins')
const commands = sourcesIn('cli')
const codes = { ...answers, ...configurationCodes }
/** Whether the code knows a name that stands on a page. */
const exists: Readonly<Record<Place, (name: string) => boolean>> = {
  log: name => name in codes || suite.includes(`'${name}'`) || suite.includes(`'secure-api: ${name}'`),
  // A part of the status, and a member of it.
  status (name) {
    const [, part = '', member = ''] = /^status\(\)\.(\w+).*?(\w+)$/.exec(name) ?? []
    return suite.includes(`report('${part}'`) && new RegExp(`\\b${member}\\b`).test(suite)
  },
  metric: name => instruments.some(instrument => instrument.name === name),
  audit: name => new Set<string>([200, 400, 401, 403, 429, 500].map(status => eventName(status, undefined))).has(name) ||
    Object.keys(answers).some(code => eventName(400, code) === name),
  answer: name => name in answers,
  alert: name => alerts.has(name),
  report: name => commands.includes(`'${name}'`) || name in usageFindingCodes
}

t.test('each page of the runbook has the five parts, with signs that the code knows', async t => {
  t.ok(pages.length >= 9, `${pages.length} pages`)
  for (const page of pages) {
    t.strictSame(page.headings, headings, page.path)
    for (const part of ['Signs', 'It is over when'] as const) {
      const signs = page.signs(part)
      t.ok(signs.length > 0, `${page.path}: ${part}`)
      t.equal(signs.length, page.section(part).split('\n').filter(line => line.startsWith('| ')).length - 2, `${page.path}: ${part}: rows`)
      for (const { place, name } of signs) t.ok(isPlace(place) && exists[place](name), `${page.path}: ${part}: ${place} ${name}`)
    }
  }
})

t.test('each metric, and each label, that a page of operations names is one', async t => {
  const known = new Set<string>(instruments.flatMap(({ name, attributes }) => [name, ...attributes]))
  for (const text of [read('operations.md'), ...pages.map(({ text }) => text)]) {
    for (const [, name = ''] of text.matchAll(/`(secure_api\.[\w.]+)`/g)) t.ok(known.has(name), name)
  }
})

t.test('each page of the runbook names its rehearsal: every test of a file that is run, none of them skipped', async t => {
  for (const page of pages) {
    const named = [...page.section('Rehearsal').matchAll(/^- \[`([^`]+)`\]\(\.\.\/\.\.\/(test\/operations\/[^)]+)\): (.+)\.$/gm)]
    const files = new Set(named.map(([, , file = '']) => file))
    t.equal(files.size, 1, `${page.path} names one file`)
    for (const file of files) {
      t.match(file, new RegExp(`^test/operations/${page.name}\\.(test|scan)\\.ts$`))
      t.strictSame(rehearsalProblems(readFileSync(join(root, file), 'utf8'), page.name, named.map(([, , , title = '']) => title)), [], file)
      t.ok(isRun(file), `${file} is in none of the patterns that npm test and npm run test:once have`)
    }
  }
  const written = readdirSync(join(root, 'test/operations')).map(name => name.replace(/\.(test|scan)\.ts$/, ''))
  t.strictSame(written.sort(), pages.map(({ name }) => name).sort(), 'no rehearsal without a page')
})

t.test('each block of a page is run by its rehearsal', async t => {
  for (const page of pages) {
    const source = readdirSync(join(root, 'test/operations')).filter(name => name.startsWith(`${page.name}.`))
      .map(name => readFileSync(join(root, 'test/operations', name), 'utf8')).join('')
    for (const heading of headings) {
      for (const [language, call] of [['sh', 'shell'], ['ts', 'run']] as const) {
        for (const [index, { code }] of page.blocks(heading).filter(block => block.language === language).entries()) {
          const more = heading === 'Do' ? '' : `[^\\n]*'${heading}'`
          t.match(source, new RegExp(`\\b${call}\\(${index}\\b${more}`), `${page.path}: ${code}`)
        }
      }
    }
    t.strictSame([...new Set(page.blocks('Do').map(({ language }) => language))].filter(one => !['sh', 'ts'].includes(one)), [], page.path)
  }
})

t.test('docs/operations.md leads from each sign to the page that has it', async t => {
  const rows = new Map([...read('operations.md').matchAll(/^\| \[[^\]]+\]\(operations\/([\w-]+)\.md\) \| (.+) \|$/gm)]
    .map(([, name = '', cells = '']) => [name, [...cells.matchAll(/`([^`]+)`/g)].map(([, sign = '']) => sign).sort()]))
  // An answer is in the table of answers, and usual traffic is no sign.
  const shown = (page: RunbookPage) => [...new Set(page.signs('Signs').filter(({ place, name }) =>
    ['log', 'audit', 'report', 'metric', 'alert'].includes(place) && name !== 'api_access').map(({ name }) => name))].sort()
  t.strictSame(Object.fromEntries(rows), Object.fromEntries(pages.map(page => [page.name, shown(page)])))
})

t.test('each alert names a page that exists, and a page of the runbook names its alerts and what they look at', async t => {
  t.equal(alerts.size, [...rules.matchAll(/- alert:/g)].length)
  const dotted = new Map(instruments.map(instrument => [prometheusName(instrument), instrument.name]))
  for (const [name, { metrics, page }] of alerts) {
    t.ok(existsSync(join(root, page)), `${name}: ${page}`)
    const signs = pages.find(({ path }) => path === page)?.signs('Signs')
    if (signs === undefined) continue
    t.ok(signs.some(sign => sign.place === 'alert' && sign.name === name), `${page}: ${name}`)
    const watched = signs.filter(({ place }) => place === 'metric').map(({ name }) => name)
    for (const metric of metrics) t.ok(watched.includes(dotted.get(metric) ?? ''), `${page}: ${metric}`)
  }
  for (const { path, signs } of pages) {
    for (const { place, name } of signs('Signs')) if (place === 'alert') t.equal(alerts.get(name)?.page, path, name)
  }
})

t.test('what the checks of the runbook would see', async t => {
  const source = "t.test('it happens', async t => {\n new Rehearsal(t, 'flood')\n see('Signs'\n see('It is over when'\n})\n"
  t.strictSame(rehearsalProblems(source, 'flood', ['it happens']), [])
  t.strictSame(rehearsalProblems('', 'flood', []).length, 4, 'a file without a test')
  for (const [broken, titles] of [
    [source, ['it happens', 'and more']], [source, []], [source.replace('async', '{ skip: true }, async'), ['it happens']],
    [source.replace("see('Signs'", ''), ['it happens']], [`// ${source}`, ['it happens']], [source, ['it happened']]
  ] as const) t.not(rehearsalProblems(broken, 'flood', titles).length, 0, broken)
  t.ok(isRun('test/operations/flood.scan.ts') && isRun('test/a/b/c.test.ts'))
  t.notOk(isRun('test/operations/deeper/flood.scan.ts') || isRun('test/operations/flood.ts'))
  t.notOk(exists.log('keys.nothing') || exists.status('status().keys[].state') || exists.status('status().audit.nonsense'))
  t.notOk(exists.metric('secure_api.nothing') || exists.audit('authn') || exists.report('SECURE_API_NOTHING'))
  t.strictSame(signsIn('| log | `a.b` | x |\n| metric | c | y |'), [{ place: 'log', name: 'a.b' }])
})

function isPlace (place: string): place is Place {
  return places.some(known => known === place)
}

/** What keeps the file of a rehearsal from showing what its page says. */
function rehearsalProblems (source: string, page: string, titles: readonly string[]): string[] {
  const written = [...source.matchAll(/^t\.test\('([^']+)'/gm)].map(([, title = '']) => title)
  return [
    ...(written.length === 0 ? ['it has no test'] : []),
    ...(JSON.stringify([...titles].sort()) === JSON.stringify(written.sort()) ? [] : [`its tests are ${written.join(', ')}`]),
    ...(/\b(?:skip|todo|only)\b *[:(]/.test(source) ? ['a test is skipped'] : []),
    ...[`new Rehearsal(t, '${page}'`, "see('Signs'", "see('It is over when'"].filter(call => !source.includes(call))
  ]
}

/** Whether `npm test` or `npm run test:once` runs it: their patterns stand in .taprc and in package.json. */
function isRun (file: string): boolean {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> }
  const [, included = ''] = /^include:\n {2}- (\S+)$/m.exec(readFileSync(join(root, '.taprc'), 'utf8')) ?? []
  const patterns = [included, ...(scripts['test:once'] ?? '').split(' ').filter(word => word.startsWith('test/'))]
  return patterns.some(pattern => matchesGlob(file, pattern))
}

function matchesGlob (file: string, pattern: string): boolean {
  const parts = pattern.split(/(\*\*\/|\*)/).map(part =>
    part === '**/' ? '(?:.+/)?' : part === '*' ? '[^/]*' : part.replace(/[.]/g, '\\.'))
  return new RegExp(`^${parts.join('')}$`).test(file)
}
