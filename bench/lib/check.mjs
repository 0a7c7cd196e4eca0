import { table } from './markdown.mjs'
import { committedFor, hasSameNode, nameOf } from './results.mjs'
import { run } from './run.mjs'
import { bare, isSuite } from './variants.mjs'

/** The ways through the suite that must not grow. */
const guarded = ['js', 'RS256-1', 'RS256-20000', 'refused-address', 'refused-forged', 'refused-preflight']
const length = Object.freeze({ launches: 2, rounds: 4, seconds: 0.5, warmup: 3 })

/** Ratios to a bare Fastify of which more is worse, and the part that every one of them may grow, whatever its spread was. */
const floors = Object.freeze({ bytes: 0.03, js: 0.1, cost: 0.15 })
/** A figure may leave its committed median by so many times the distance of its quartiles. */
const SPREAD = 2

/**
 * Against decay: what a request costs, as ratios to a bare Fastify of the same run, beside those that were committed. Exit code 0 when
 * nothing became worse. Throughput is left to the tables: it follows CPU, and varies more from machine to machine.
 */
export async function check ({ only }, say) {
  const names = guarded.filter(name => only === undefined || only.includes(name))
  const results = await run({ only: names, peers: false, length }, say)
  const committed = committedFor(results.machine)
  if (committed === undefined) throw new Error('bench/results has no results; --commit writes them')
  say(`Beside the results of ${nameOf(committed.machine)}, ${committed.machine.date}.`)
  if (!hasSameNode(committed.machine, results.machine)) say(`This is Node ${results.machine.node}: figures of other versions differ.`)
  const found = compare(figuresOf(results), figuresOf(committed))
  say(table(['case', 'figure', 'now', 'committed', 'allowed', ''], found.map(({ name, figure, now, then, allowed, worse }) =>
    [name, figure, now.toFixed(3), then.toFixed(3), allowed.toFixed(3), worse ? 'WORSE' : ''])))
  return found.some(({ worse }) => worse) ? 1 : 0
}

/**
 * Everything that is compared, by name.
 * @param {import('./results.mjs').Results} results
 */
export function figuresOf ({ groups = [], js = { rows: [] } }) {
  const ours = ({ variant, versus = bare }) => versus === bare && isSuite(variant)
  return Object.fromEntries([
    ...js.rows.filter(ours).map(({ group, variant, js: ratio, bytes }) => [`${group} ${variant}, no sockets`, { js: ratio, bytes }]),
    ...groups.flatMap(({ name, rows }) => rows.filter(ours).map(({ variant, cost }) => [`${name} ${variant}`, { cost }]))
  ])
}

/** Each figure beside the committed one. One that was never committed is worse: nobody has looked at it. */
export function compare (figures, committed) {
  return Object.entries(figures).flatMap(([name, own]) => Object.entries(own).map(([figure, { median: now }]) => {
    const before = committed[name]?.[figure]
    const allowed = before === undefined ? 0 : before.median + Math.max(floors[figure] * before.median, SPREAD * (before.high - before.low))
    return { name, figure, now, then: before?.median ?? 0, allowed, worse: !(now <= allowed) }
  }))
}
