import { ratio, table } from './markdown.mjs'
import { bare } from './variants.mjs'

/** A row of a group; nothing where it was not measured. */
const rowOf = (name, variant, versus = bare) => ({ groups = [] }) =>
  groups.find(group => group.name === name)?.rows.find(row => row.variant === variant && row.versus === versus)
const rateOf = (...row) => results => rowOf(...row)(results)?.rate.median
const costOf = (...row) => results => rowOf(...row)(results)?.cost.median
const times = (group, variant, other) => results => rateOf(group, variant)(results) / rateOf(group, other)(results)
const inSection = (section, variant, read) => results => {
  const row = results[section]?.rows.find(one => one.variant === variant)
  return row === undefined ? undefined : read(row)
}
const over = (variant, figure) => results =>
  inSection('start', variant, row => row[figure].median)(results) - inSection('start', bare, row => row[figure].median)(results)
const besideOfficial = variant => results => over(variant, 'readyMs')(results) / over('official', 'readyMs')(results)
const firstRequest = variant => results =>
  inSection('start', variant, row => row.firstMs.median)(results) / inSection('start', bare, row => row.firstMs.median)(results)
const js = (variant, group, figure) => ({ js }) =>
  js?.rows.find(row => row.variant === variant && row.group === group)?.[figure].median
const worstFlood = variant => ({ flood }) =>
  Math.max(...flood?.rows.filter(row => row.variant === variant && row.from !== 'nowhere').map(row => row.ratio.median) ?? [NaN])

const MB = 2 ** 20
const algorithms = ['RS256', 'ES256', 'EdDSA']
const places = { suite: 'plugin', 'suite+server': 'secureServer()' }
const throughput = { suite: { 1: 0.80, 20000: 0.70, new: 0.34 }, 'suite+server': { 1: 1, 20000: 0.85, new: 0.34 } }
const loads = { 1: 'one token', 20000: '20,000 tokens', new: 'every token new' }
const overBare = { suite: { 1: 2.5, 20000: 4 }, 'suite+server': { 1: 1.5, 20000: 4 } }

/** What this project wants to reach: `least` is a floor, `most` a ceiling. Bold in the page where it is missed. */
const goals = [
  ...algorithms.flatMap(alg => Object.entries(places).flatMap(([variant, place]) =>
    Object.entries(throughput[variant]).map(([load, least]) =>
      ({ what: `${alg}, ${place}, ${loads[load]}`, least, read: rateOf(`${alg}-${load}`, variant) })))),
  ...Object.entries(places).flatMap(([variant, place]) => Object.entries(overBare[variant]).map(([load, most]) =>
    ({ what: `µs of JavaScript over bare, ${place}, ${loads[load]}`, most, read: js(variant, `RS256-${load}`, 'over') }))),
  { what: 'bytes allocated over bare, secureServer(), one token', most: 1024, read: js('suite+server', 'RS256-1', 'more') },
  { what: 'limits in Redis, exact', least: 0.75, read: rateOf('redis-exact', 'suite+server') },
  { what: 'limits in Redis, leased', least: 0.85, read: rateOf('redis-leased', 'suite+server') },
  { what: 'audit through pino ÷ without', least: 0.75, read: rateOf('audit-pino', 'suite:pino', 'suite') },
  { what: 'audit to a chained file ÷ without', least: 0.85, read: rateOf('audit-chain', 'suite:chain', 'suite') },
  { what: 'times the official plugins, RS256', least: 4.5, read: times('RS256-1', 'suite', 'official') },
  { what: 'times the official plugins, ES256', least: 100, read: times('ES256-20000', 'suite', 'official') },
  { what: 'times Express', least: 7, read: times('RS256-1', 'suite', 'express') },
  { what: 'times Hono', least: 9, read: times('RS256-1', 'suite', 'hono') },
  { what: 'times NestJS', least: 15, read: times('RS256-1', 'suite', 'nest') },
  { what: 'times HAProxy', least: 1.3, read: times('RS256-1', 'suite', 'haproxy') },
  ...Object.entries(places).flatMap(([variant, place]) => [
    ...['limit', 'address', 'forged', 'anonymous', 'preflight'].map(name =>
      ({ what: `CPU of a refusal ÷ bare 200: ${name}, ${place}`, most: 1.2, read: costOf(`refused-${name}`, variant) })),
    { what: `p99 at a tenth ÷ bare, ${place}`, most: 1.25, read: inSection('latency', variant, row => row.ratio.median) },
    { what: `p99 under attack ÷ without, worst case, ${place}`, most: 1.25, read: worstFlood(variant) },
    { what: `first request ÷ bare, ${place}`, most: 1.1, read: firstRequest(variant) },
    { what: `ready over bare ÷ that of the official plugins, ${place}`, most: 1, read: besideOfficial(variant) },
    { what: `RSS over bare, MB, ${place}`, most: 20, read: results => over(variant, 'rss')(results) / MB },
    { what: `50,000 cached tokens, MB of heap, ${place}`, most: 46, read: inSection('memory', variant, row => row.heap.median / MB) }
  ])
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
