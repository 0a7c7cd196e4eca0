import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { ordersApp } from '../../examples/orders/app.ts'
import { prometheusName, promClient } from '../../examples/prometheus/prom-client.ts'
import { instruments } from '../../plugins/index.ts'
import { createTestIssuer } from '../../testing/index.ts'
import { freePort } from '../helpers/free-port.ts'
import { startChromium } from '../helpers/chromium.ts'
import { program } from '../helpers/programs.ts'
import { startRedis } from '../helpers/redis.ts'

const folder = fileURLToPath(new URL('../../docs/operations/', import.meta.url))
const promtool = program({ names: ['promtool'], package: 'prometheus' })

t.test('promtool: the alert rules are sound, each fires when it should, and none when all is well', async t => {
  for (const args of [['check', 'rules', 'alerts.yml'], ['test', 'rules', 'alerts.test.yml']]) {
    const { status, stdout, stderr } = spawnSync(promtool, args, { cwd: folder, encoding: 'utf8' })
    t.equal(status, 0, `promtool ${args.join(' ')}: ${stdout}${stderr}`)
  }
})

async function startApi (t: Test) {
  const issuer = await createTestIssuer()
  const redis = await startRedis()
  const registry = new Registry()
  const app = await ordersApp({
    auth: { issuer: issuer.issuer, audience: issuer.audience, introspection: issuer.introspection },
    // The load comes from one address: after half a minute its limit would refuse what is to be answered with 404.
    rateLimit: {
      redis: redis.url, perAddress: { limit: 1_000_000, window: '1 minute' }, policies: { read: { limit: 100, window: '1 minute' } }
    },
    environment: 'development',
    audit: { sink: () => {} },
    telemetry: { metrics: promClient(registry) }
  })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const metrics = createServer((_request, response) => { registry.metrics().then(text => response.end(text)) }).listen(0, '127.0.0.1')
  await once(metrics, 'listening')
  t.teardown(async () => {
    metrics.close().closeAllConnections()
    await app.close()
    await redis.close()
    await issuer.close()
  })
  return { url, issuer, target: `127.0.0.1:${(metrics.address() as AddressInfo).port}` }
}

/** Scrapes once a second, with the rules of docs/operations. */
async function startPrometheus (t: Test, target: string) {
  const data = mkdtempSync(join(tmpdir(), 'secure-api-prometheus-'))
  const file = join(data, 'prometheus.yml')
  writeFileSync(file, [
    'global: { scrape_interval: 1s, evaluation_interval: 1s }',
    `rule_files: ['${folder}alerts.yml']`,
    `scrape_configs: [{ job_name: orders, static_configs: [{ targets: ['${target}'] }] }]`
  ].join('\n'))
  const address = `127.0.0.1:${await freePort()}`
  const server = spawn(program({ names: ['prometheus'], package: 'prometheus' }),
    [`--config.file=${file}`, `--storage.tsdb.path=${data}/data`, `--web.listen-address=${address}`], { stdio: 'ignore' })
  t.teardown(async () => {
    server.kill()
    await once(server, 'exit')
    rmSync(data, { recursive: true, force: true })
  })
  const ask = async (path: string): Promise<unknown> => {
    const { data } = await (await fetch(`http://${address}/api/v1/${path}`)).json() as { data: unknown }
    return data
  }
  const query = async (expr: string) => (await ask(`query?query=${encodeURIComponent(expr)}`) as { result: Sample[] }).result
  // A scrape that a busy machine does not answer within its second makes all samples stale until the next one.
  const answer = async (expr: string) => {
    let result: Sample[] = []
    await until(async () => (result = await query(expr)).length > 0).catch(() => {})
    return result
  }
  return { ask, query, answer }
}

interface Sample { readonly metric: Readonly<Record<string, string>>, readonly value: readonly [number, string] }

/** What the next scrape or rule brings. Six scrapes alone take six seconds, on a machine that has time for them. */
async function until (holds: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 120_000
  do {
    if (await holds().catch(() => false)) return
    await new Promise(resolve => setTimeout(resolve, 100))
  } while (Date.now() < end)
  throw new Error('it did not come about in two minutes')
}

t.test('a real Prometheus scrapes the orders example, and each panel of the dashboard has an answer', async t => {
  const { url, issuer, target } = await startApi(t)
  const { ask, query, answer } = await startPrometheus(t, target)
  const token = issuer.sign({ sub: 'alice', scope: 'api.read' })
  const opaque = issuer.opaque({ sub: 'alice', client_id: 'web', scope: 'api.read' })
  for (const known of [token, opaque]) {
    await until(async () => (await fetch(`${url}/orders`, { headers: { authorization: `Bearer ${known}` } })).status === 200)
  }
  const load = async () => {
    for (const authorization of [`Bearer ${token}`, `Bearer ${opaque}`, 'Bearer wrong', '']) {
      await fetch(`${url}/orders`, { headers: authorization === '' ? {} : { authorization } })
    }
    await fetch(`${url}/nowhere`)
  }
  const stop = setInterval(() => { load().catch(() => {}) }, 100)
  t.teardown(() => clearInterval(stop))
  // Two scrapes give a rate.
  await until(async () => Number((await query('count_over_time(secure_api_audit_pending[1m])'))[0]?.value[1]) >= 6)

  // Nothing of these happened here: they have no samples yet.
  const quiet = /^secure_api_(store_outages|keys_changes|revocations|certificate|secret)/
  const wanted = instruments.map(prometheusName).filter(name => !quiet.test(name))
  const missing = async () => {
    const stored = await ask('label/__name__/values') as string[]
    return wanted.filter(name => !stored.some(one => one === name || one === `${name}_count`))
  }
  await until(async () => (await missing()).length === 0).catch(() => {})
  t.strictSame(await missing(), [])
  const [allowed] = await answer('secure_api_decisions_total{secure_api_outcome="allowed",secure_api_credential="jwt"}')
  t.equal(allowed?.metric.http_route, '/orders')
  t.strictSame((await answer('secure_api_decisions_total{http_route="unknown"}')).map(({ metric }) => metric.secure_api_reason), ['none'])

  const dashboard = JSON.parse(readFileSync(join(folder, 'grafana-dashboard.json'), 'utf8')) as { panels: Panel[] }
  for (const { title, targets } of dashboard.panels) {
    for (const { expr } of targets) {
      const asked = expr.replaceAll('$__rate_interval', '10s')
      const isQuiet = quiet.test(/secure_api_\w+/.exec(asked)?.[0] ?? '')
      t.ok(isQuiet || (await answer(asked)).length > 0, `${title}: ${asked}`)
    }
  }
  if (process.env.DASHBOARD_PICTURE !== undefined) await draw(t, dashboard.panels, ask, process.env.DASHBOARD_PICTURE)
  t.notMatch(JSON.stringify(await ask('series?match[]={job="orders"}')), 'alice')
})

interface Panel {
  readonly title: string
  readonly gridPos: { readonly x: number, readonly y: number, readonly w: number }
  readonly fieldConfig: { readonly defaults: { readonly unit: string } }
  readonly targets: ReadonlyArray<{ readonly expr: string, readonly legendFormat: string }>
}

type Range = ReadonlyArray<{ readonly metric: Readonly<Record<string, string>>, readonly values: ReadonlyArray<readonly [number, string]> }>

/** The panels as a picture, laid out as in Grafana: `DASHBOARD_PICTURE=/tmp/dashboard.png`. Grafana itself is in no Debian package. */
async function draw (t: Test, panels: readonly Panel[], ask: (path: string) => Promise<unknown>, file: string): Promise<void> {
  const now = Date.now() / 1000
  const boxes = await Promise.all(panels.map(async ({ title, gridPos: { x, y, w }, fieldConfig: { defaults: { unit } }, targets }) => {
    const series = (await Promise.all(targets.map(async ({ expr, legendFormat }) => {
      const asked = encodeURIComponent(expr.replaceAll('$__rate_interval', '5s'))
      const { result } = await ask(`query_range?query=${asked}&start=${now - 15}&end=${now}&step=1`) as { result: Range }
      const nameOf = (metric: Range[number]['metric']) => legendFormat.replace(/{{(\w+)}}/g, (_, label: string) => metric[label] ?? '')
      return result.map(({ metric, values }) => ({ name: nameOf(metric), values }))
    }))).flat()
    const top = Math.max(1e-9, ...series.flatMap(({ values }) => values.map(([, value]) => Number(value) || 0)))
    const lines = series.map(({ values }, index) => `<polyline fill="none" stroke-width="2" stroke="hsl(${index * 67} 70% 45%)" points="${
      values.map(([at, value]) => `${(at - now + 15) * 30},${150 - 140 * (Number(value) || 0) / top}`).join(' ')}"/>`)
    const names = series.map(({ name, values }, index) =>
      `<span style="color:hsl(${index * 67} 70% 40%)">${name} ${Number(values.at(-1)?.[1]).toPrecision(3)}</span>`)
    return `<div style="left:${x * 64}px;top:${y * 34}px;width:${w * 64 - 16}px">
      <b>${title}</b> <i>${unit}, to ${top.toPrecision(3)}</i>
      <svg viewBox="0 0 450 150" preserveAspectRatio="none">${lines.join('')}</svg><p>${names.join(' ') || 'no data'}</p></div>`
  }))
  const page = await (await startChromium(t)).newPage({ viewport: { width: 1560, height: 2000 } })
  await page.setContent(`<style>body{font:12px sans-serif;background:#eee}
    svg{width:100%;height:150px}p{margin:2px;height:60px;overflow:hidden}
    div{position:absolute;height:250px;background:#fff;padding:4px}</style>${boxes.join('')}`)
  await page.screenshot({ path: file, fullPage: true })
}
