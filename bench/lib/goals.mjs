import { grouped, ratio, table } from './markdown.mjs'
import { undisturbed } from './pairs.mjs'
import { median } from './stats.mjs'

/** The part of the results that lies in one figure: `undefined` where it was not measured. */
const rateOf = (group, variant) => results => figure(results, group, variant, 'rate')
const costOf = (group, variant) => results => figure(results, group, variant, 'cost')
const times = (group, variant, other) => results => rateOf(group, variant)(results) / rateOf(group, other)(results)
const rowsOf = (section, variant, read) => ({ [section]: rows = [] }) => median(rows.filter(row => row.variant === variant).map(read))
const over = (variant, read) => results => rowsOf('start', variant, read)(results) - rowsOf('start', 'bare', read)(results)
const part = (variant, read) => results => rowsOf('start', variant, read)(results) / rowsOf('start', 'bare', read)(results)
const worstFlood = variant => ({ flood = [] }) => {
  const attacked = flood.filter(row => row.variant === variant && row.from !== 'none')
  return Math.max(...grouped(attacked, ({ algorithm, from }) => `${algorithm} ${from}`).map(([, rows]) =>
    median(rows.map(row => row.ratio))))
}

const MB = 2 ** 20
const algorithms = ['RS256', 'ES256', 'EdDSA']

/** What this project wants to reach: `least` is a floor, `most` a ceiling. Bold in the page where it is missed. */
const goals = [
  ...algorithms.flatMap(alg => [
    { what: `${alg}, plugin, one token`, least: 0.70, read: rateOf(`${alg}-1`, 'suite') },
    { what: `${alg}, plugin, 20,000 tokens`, least: 0.60, read: rateOf(`${alg}-20000`, 'suite') },
    { what: `${alg}, secureServer(), one token`, least: 0.85, read: rateOf(`${alg}-1`, 'suite+server') },
    { what: `${alg}, secureServer(), 20,000 tokens`, least: 0.72, read: rateOf(`${alg}-20000`, 'suite+server') }
  ]),
  { what: 'RS256, every token new', least: 0.30, read: rateOf('RS256-new', 'suite') },
  { what: 'ES256, every token new', least: 0.18, read: rateOf('ES256-new', 'suite') },
  { what: 'limits in Redis, exact', least: 0.70, read: rateOf('redis-exact', 'suite+server') },
  { what: 'limits in Redis, leases', least: 0.80, read: rateOf('redis-leases', 'suite+server') },
  { what: 'audit through pino ÷ without', least: 0.75, read: times('audit', 'suite:pino', 'suite') },
  { what: 'times the official plugins, RS256', least: 4.5, read: times('RS256-1', 'suite', 'official') },
  { what: 'times the official plugins, ES256', least: 100, read: times('ES256-20000', 'suite', 'official') },
  { what: 'times Express', least: 7, read: times('RS256-1', 'suite', 'express') },
  { what: 'times Hono', least: 9, read: times('RS256-1', 'suite', 'hono') },
  { what: 'times NestJS', least: 15, read: times('RS256-1', 'suite', 'nest') },
  { what: 'times HAProxy', least: 1.3, read: times('RS256-1', 'suite', 'haproxy') },
  ...['suite', 'suite+server'].flatMap(variant => {
    const where = variant === 'suite' ? 'plugin' : 'secureServer()'
    return [
      ...['limit', 'address', 'forged', 'preflight'].map(name =>
        ({ what: `CPU of a refusal ÷ bare 200: ${name}, ${where}`, most: 1.2, read: costOf(`refused-${name}`, variant) })),
      { what: `p99 at 3,000 a second ÷ bare, ${where}`, most: 1.25, read: rowsOf('latency', variant, row => row.ratio) },
      { what: `p99 under attack ÷ without, worst case, ${where}`, most: 1.25, read: worstFlood(variant) },
      { what: `first request ÷ bare, ${where}`, most: 1.5, read: part(variant, row => row.firstMs) },
      { what: `ready over bare, ms, ${where}`, most: 150, read: over(variant, row => row.readyMs) },
      { what: `RSS over bare, MB, ${where}`, most: 30, read: over(variant, row => row.rss / MB) },
      { what: `50,000 cached tokens, MB of heap, ${where}`, most: 60, read: rowsOf('memory', variant, row => row.heap / MB) }
    ]
  })
]

/** Every goal that was measured, beside what was. */
export function goalTable (results) {
  const rows = goals.map(goal => ({ ...goal, value: goal.read(results) })).filter(({ value }) => Number.isFinite(value))
  if (rows.length === 0) return undefined
  const measured = row => met(row) ? shown(row.value) : `**${shown(row.value)}**`
  return `### Goals\n\n${table(['what', 'measured', 'goal'], rows.map(row => [row.what, measured(row), goalOf(row)]))}`
}

function met ({ value, least = -Infinity, most = Infinity }) {
  return value >= least && value <= most
}

function goalOf ({ least, most }) {
  return least === undefined ? `at most ${most}` : `at least ${least}`
}

function shown (value) {
  return value >= 10 ? value.toFixed(0) : ratio(value)
}

function figure ({ groups }, name, variant, key) {
  const pairs = groups.find(group => group.name === name)?.pairs ?? []
  return median(undisturbed(pairs.filter(pair => pair.variant === variant)).map(pair => pair[key]))
}
