import { goalTable } from './goals.mjs'
import { grouped, megabytes, ratio, table } from './markdown.mjs'
import { busyOf, costOf, rateOf } from './measure.mjs'
import { BUSY, undisturbed } from './pairs.mjs'
import { median, summary } from './stats.mjs'
import { bare, variants } from './variants.mjs'

/** The whole page. */
export function page (results) {
  const { machine, length, groups, latency, flood, start, memory } = results
  const parts = [
    intro(machine, length),
    goalTable(results),
    ...groups.map(groupTable),
    notes(groups),
    latency && latencyTable(latency),
    flood && floodTable(flood),
    start && startTable(start),
    memory && memoryTable(memory)
  ]
  return `${parts.filter(Boolean).join('\n\n')}\n`
}

function intro ({ node, openssl, processor, cores, memoryGb, kernel, pinned, date }, { launches, rounds, seconds }) {
  const where = pinned
    ? 'The server had one core to itself, everything else the other.'
    : 'Server and load shared the cores: nothing could be pinned here.'
  return `Measured on ${date} with Node ${node}, OpenSSL ${openssl}, Linux ${kernel}, ${cores} cores (${processor}), ${memoryGb} GB.
${where}
Each figure is the median of ${launches} launches of every server, ${rounds} rounds of ${seconds} s each, in turn, always
beside a bare Fastify of that moment.`
}

/** One load and all servers under it. */
export function groupTable ({ title, pairs, notRun = [], refused }) {
  const heads = ['server', 'throughput ÷ bare', 'quartiles', 'CPU a request ÷ bare', 'CPU µs', 'requests a second', 'p99 ms', 'RSS MB',
    'busy', 'as expected', 'pairs']
  const rows = grouped(pairs, ({ variant }) => variant).map(([name, own]) => groupRow(name, undisturbed(own)))
  const missing = notRun.map(({ variant, why }) => [variants[variant].title, `NOT RUN (${why})`, ...Array(heads.length - 2).fill('')])
  return `### ${refused ? `Refused: ${title}` : title}\n\n${table(heads, [...rows, ...missing])}`
}

function groupRow (name, pairs) {
  const samples = pairs.map(({ sample }) => sample)
  const of = read => median(samples.map(read))
  const rate = summary(pairs.map(pair => pair.rate))
  const busy = of(busyOf)
  return [
    variants[name].title,
    ratio(rate.median),
    `${ratio(rate.low)} to ${ratio(rate.high)}`,
    median(pairs.map(({ cost }) => cost)).toFixed(2),
    of(costOf).toFixed(1),
    of(rateOf).toFixed(0),
    of(({ p99 }) => p99).toFixed(0),
    megabytes(of(({ rss }) => rss)),
    `${busy.toFixed(2)}${busy < BUSY ? ' (!)' : ''}`,
    of(({ expected }) => expected).toFixed(3),
    pairs.length
  ]
}

/** Who answers what differently than a server with these controls should, in the groups that were timed all the same. */
function notes (groups) {
  const lines = new Set(groups.flatMap(({ findings = [] }) =>
    findings.map(({ variant, check, got }) => `- ${variants[variant].title}: ${check} is answered ${got}`)))
  return lines.size === 0 ? undefined : `Answers that are not as they should be:\n\n${[...lines].join('\n')}`
}

function latencyTable (rows) {
  const body = grouped(rows, ({ variant }) => variant).map(([name, own]) => {
    const of = read => median(own.map(read)).toFixed(2)
    return [variants[name].title, of(row => row.ratio), of(row => row.p99), of(row => row.bareP99), of(row => row.p50),
      of(row => row.bareP50), of(row => row.p999), own.reduce((sum, row) => sum + row.unanswered, 0)]
  })
  const heads = ['server', 'p99 ÷ bare', 'p99 ms', 'p99 bare', 'p50 ms', 'p50 bare', 'p99.9 ms', 'unanswered']
  return `### Latency at 3,000 requests a second\n\n${table(heads, body)}`
}

function floodTable (rows) {
  const body = grouped(rows, ({ variant, algorithm, from }) => `${variants[variant].title}, ${algorithm}: ${from}`).map(([name, own]) => {
    const of = read => median(own.map(read)).toFixed(2)
    return [name, of(row => row.ratio), of(row => row.p99), of(row => row.p50), of(row => row.busy),
      median(own.map(row => row.badRate)).toFixed(0), statusesOf(own, 'goodStatuses'), statusesOf(own, 'badStatuses'),
      Math.max(...own.map(row => row.fetches))]
  })
  const heads = ['server, algorithm: attack from', 'p99 ÷ without attack', 'p99 ms', 'p50 ms', 'busy', 'forged answered a second',
    'good answers', 'forged answers', 'fetches of keys']
  return `### 2,000 good requests a second beside 5,000 forged ones\n\n${table(heads, body)}`
}

function statusesOf (rows, key) {
  return Object.entries(rows.at(-1)[key]).map(([status, count]) => `${status}: ${count}`).join(', ')
}

function startTable (rows) {
  const all = grouped(rows, ({ variant }) => variant)
  const of = (own, read) => median(own.map(read))
  const reference = all.find(([name]) => name === bare)[1]
  const body = all.map(([name, own]) => [
    variants[name].title,
    of(own, row => row.readyMs).toFixed(0),
    (of(own, row => row.readyMs) - of(reference, row => row.readyMs)).toFixed(0),
    of(own, row => row.cpuMs).toFixed(0),
    megabytes(of(own, row => row.rss)),
    megabytes(of(own, row => row.rss) - of(reference, row => row.rss)),
    of(own, row => row.firstMs).toFixed(1),
    ratio(of(own, row => row.firstMs) / of(reference, row => row.firstMs)),
    of(own, row => row.secondMs).toFixed(1)
  ])
  const heads = ['server', 'ready ms, with imports', 'over bare', 'CPU ms since spawn', 'RSS MB', 'over bare', 'first request ms',
    '÷ bare', 'second request ms']
  return `### Starting\n\n${table(heads, body)}`
}

function memoryTable (rows) {
  const body = rows.map(({ variant, tokens, accepted, heap, rss }) => [variants[variant].title, tokens.toLocaleString('en'),
    accepted.toLocaleString('en'), megabytes(heap), megabytes(rss)])
  return `### Memory of cached tokens\n\n${table(['server', 'tokens', 'accepted', 'heap MB more', 'RSS MB more'], body)}`
}
