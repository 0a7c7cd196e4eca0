import { readFileSync } from 'node:fs'
import t from 'tap'
import { prometheusName } from '../examples/prometheus/prom-client.ts'
import { instruments } from '../plugins/index.ts'

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
