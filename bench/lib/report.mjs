import { goalTable } from './goals.mjs'
import { megabytes, ratio, table } from './markdown.mjs'
import { BUSY } from './pairs.mjs'
import { bare, variants } from './variants.mjs'

/** The whole page. @param {import('./results.mjs').Results} results */
export function page (results) {
  const { machine, groups = [], js, 'one-core': oneCore, latency, flood, start, memory } = results
  const parts = [
    intro(machine),
    quickTable(groups),
    goalTable(results),
    js && jsTable(js),
    oneCore && oneCoreTable(oneCore),
    ...groups.map(groupTable),
    notes(groups),
    latency && latencyTable(latency),
    flood && floodTable(flood),
    start && startTable(start),
    memory && memoryTable(memory)
  ]
  return `${parts.filter(Boolean).join('\n\n')}\n`
}

function intro ({ node, openssl, processor, cores, memoryGb, kernel, pinned, load, instructions, date, busyBefore }) {
  const where = pinned
    ? 'The server had one core to itself, everything else the other.'
    : 'Server and load shared the cores: nothing could be pinned here.'
  return `Measured on ${date} with Node ${node}, OpenSSL ${openssl}, Linux ${kernel}, ${cores} cores (${processor}), ${memoryGb} GB;
load by ${load}; ${instructions};
${busyBefore} of the processors busy with something else before the run.
${where}
Ratios are medians of paired windows, each beside a bare Fastify of that moment, with quartiles.`
}

const columns = [['RS256-1', 'one token'], ['RS256-20000', '20,000 tokens in turn'], ['RS256-new', 'every token new']]
const wanted = { suite: '0.80 / 0.70 / 0.34', 'suite+server': '**1.00** / 0.85 / 0.34' }

/** The three loads that matter most, one row a server. */
export function quickTable (groups) {
  const measured = columns.map(([name]) => groups.find(group => group.name === name)?.rows ?? [])
  if (measured.some(rows => rows.length === 0)) return undefined
  const cells = (variant, figure) => measured.map(rows => {
    const row = rows.find(one => one.variant === variant && one.versus === bare)
    return row === undefined ? '' : withQuartiles(row[figure])
  })
  const names = ['bare+token', 'suite', 'suite+server'].filter(name => measured[0].some(({ variant }) => variant === name))
  const heads = ['', ...columns.map(([, title]) => title), 'goal']
  const rows = names.map(name => [variants[name].title, ...cells(name, 'rate'), wanted[name] ?? ''])
  const costs = names.map(name => [variants[name].title, ...cells(name, 'cost'), ''])
  return `### Beside a bare Fastify that gets no token\n\nThroughput, as a part of its own:\n\n${table(heads, rows)}

CPU a request, times its own:\n\n${table(heads, costs)}`
}

/** JavaScript of one request in one process, without sockets. */
export function jsTable ({ rows }) {
  const heads = ['server', 'load', 'µs ÷ bare', 'quartiles', 'µs', 'µs over bare', 'bytes ÷ bare', 'bytes', 'bytes over bare',
    'instructions']
  return `### Without sockets: JavaScript and memory of one request\n\n${table(heads, rows.map(row => [
    variants[row.variant].title, row.title, row.js.median.toFixed(2), quartiles(row.js), row.us.median.toFixed(2),
    row.over.median.toFixed(2), row.bytes.median.toFixed(2), row.allocated.median.toFixed(0), row.more.median.toFixed(0),
    row.instructions === undefined ? '–' : row.instructions.median.toFixed(0)
  ]))}`
}

/** CPU of a request where nothing wakes another core. */
function oneCoreTable ({ rows }) {
  const heads = ['server', 'load', 'CPU a request ÷ bare', 'quartiles', 'µs', 'µs of bare']
  return `### Server and load on one core\n\n${table(heads, rows.map(row => [
    variants[row.variant].title, row.title, row.cost.median.toFixed(2), quartiles(row.cost), row.us.median.toFixed(1),
    row.bareUs.median.toFixed(1)
  ]))}`
}

/** One load and all servers under it. */
export function groupTable ({ title, rows, notRun = [], refused, length }) {
  const heads = ['server', 'throughput ÷ bare', 'quartiles', 'CPU a request ÷ bare', 'quartiles', 'CPU µs', 'requests a second', 'p99 ms',
    'RSS MB', 'busy', 'as expected', 'pairs']
  const body = rows.filter(({ versus }) => versus === bare).map(groupRow)
  const missing = notRun.map(({ variant, why }) => [variants[variant].title, `NOT RUN (${why})`, ...Array(heads.length - 2).fill('')])
  const { launches, rounds, seconds } = length
  return [`### ${refused ? `Refused: ${title}` : title}`, `${launches} launches, ${rounds} rounds of ${seconds} s each.`,
    table(heads, [...body, ...missing]), couplesTable(rows)].filter(Boolean).join('\n\n')
}

/** With an option beside without it. */
function couplesTable (rows) {
  const couples = rows.filter(({ versus }) => versus !== bare)
  if (couples.length === 0) return undefined
  return table(['with', 'without', 'throughput, with ÷ without', 'quartiles', 'CPU a request, with ÷ without', 'quartiles', 'pairs'],
    couples.map(({ variant, versus, rate, cost }) => [variants[variant].title, variants[versus].title, rate.median.toFixed(3),
      quartiles(rate, 3), cost.median.toFixed(3), quartiles(cost, 3), rate.count]))
}

function groupRow ({ variant, rate, cost, cpuUs, perSecond, p99, rss, busy, expected }) {
  return [variants[variant].title, ratio(rate.median), quartiles(rate), cost.median.toFixed(2), quartiles(cost), cpuUs.toFixed(1),
    perSecond.toFixed(0), p99.toFixed(1), megabytes(rss), `${busy.toFixed(2)}${busy < BUSY ? ' (!)' : ''}`, expected.toFixed(3), rate.count]
}

function quartiles ({ low, high }, digits) {
  const shown = value => digits === undefined ? ratio(value) : value.toFixed(digits)
  return `${shown(low)} to ${shown(high)}`
}

function withQuartiles (figures) {
  return `${ratio(figures.median)} (${quartiles(figures)})`
}

/** Who answers what differently than a server with these controls should, in the groups that were timed all the same. */
function notes (groups) {
  const lines = new Set(groups.flatMap(({ findings = [] }) =>
    findings.map(({ variant, check, got }) => `- ${variants[variant].title}: ${check} is answered ${got}`)))
  return lines.size === 0 ? undefined : `Answers that are not as they should be:\n\n${[...lines].join('\n')}`
}

function latencyTable ({ rows }) {
  const heads = ['server', 'p99 ÷ bare', 'quartiles', 'p99 ms', 'p99 bare', 'p50 ms', 'p50 bare', 'p99.9 ms', 'sent late by, p99 ms',
    'requests a second', 'lost']
  return `### Latency at a tenth of what a bare Fastify can do\n\n${table(heads, rows.map(row => [
    variants[row.variant].title, row.ratio.median.toFixed(2), quartiles(row.ratio),
    ...[row.p99, row.bareP99, row.p50, row.bareP50, row.p999, row.late].map(milliseconds),
    row.rate.median.toFixed(0), row.lost.median.toFixed(0)
  ]))}`
}

function floodTable ({ rows }) {
  const heads = ['server, algorithm: forged from', 'p99 ÷ without', 'quartiles', 'p99 ms', 'p50 ms', 'sent late by, p99 ms', 'busy',
    'good a second', 'forged a second', 'good answers', 'forged answers', 'fetches of keys']
  const title = 'Good requests at a tenth of what a bare Fastify can do, forged ones at three tenths'
  return `### ${title}\n\n${table(heads, rows.map(row => [
    `${variants[row.variant].title}, ${row.algorithm}: ${row.from}`, row.ratio.median.toFixed(2), quartiles(row.ratio),
    ...[row.p99, row.p50, row.late].map(milliseconds), row.busy.median.toFixed(2), row.goodRate.median.toFixed(0),
    row.badRate.median.toFixed(0), statuses(row.goodStatuses), statuses(row.badStatuses), row.fetches.high
  ]))}`
}

function milliseconds ({ median }) {
  return median.toFixed(2)
}

function statuses (counts) {
  return Object.entries(counts).map(([status, count]) => `${status}: ${count}`).join(', ')
}

function startTable ({ rows }) {
  const reference = rows.find(({ variant }) => variant === bare)
  const heads = ['server', 'ready ms, with imports', 'quartiles', 'over bare', 'CPU ms since spawn', 'RSS MB', 'over bare',
    'first request ms', '÷ bare', 'second request ms']
  return `### Starting\n\n${table(heads, rows.map(({ variant, readyMs, cpuMs, rss, firstMs, secondMs }) => [
    variants[variant].title, readyMs.median.toFixed(0), `${readyMs.low.toFixed(0)} to ${readyMs.high.toFixed(0)}`,
    (readyMs.median - reference.readyMs.median).toFixed(0), cpuMs.median.toFixed(0), megabytes(rss.median),
    megabytes(rss.median - reference.rss.median), firstMs.median.toFixed(1), ratio(firstMs.median / reference.firstMs.median),
    secondMs.median.toFixed(1)
  ]))}`
}

function memoryTable ({ rows }) {
  return `### Memory of cached tokens\n\n${table(['server', 'tokens', 'accepted', 'heap MB more', 'RSS MB more'],
    rows.map(({ variant, tokens, accepted, heap, rss }) => [variants[variant].title, tokens.median.toLocaleString('en'),
      accepted.median.toLocaleString('en'), megabytes(heap.median), megabytes(rss.median)]))}`
}
