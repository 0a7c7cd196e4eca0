import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { full } from './groups.mjs'
import { QUIET } from './machine.mjs'

/**
 * @typedef {{ machine: object, groups?: readonly object[], js?: { rows: readonly object[] }, latency?: { rows: readonly object[] },
 *   flood?: { rows: readonly object[] }, start?: { rows: readonly object[] }, memory?: { rows: readonly object[] } }} Results
 */

const kept = new URL('../.cache/results.json', import.meta.url)
const committed = new URL('../results/', import.meta.url)

/** What earlier parts measured on this machine. @returns {Results | undefined} */
export function earlier () {
  return existsSync(kept) ? read(kept) : undefined
}

/** @param {Results} results */
export function keep (results) {
  mkdirSync(new URL('./', kept), { recursive: true })
  writeFileSync(kept, JSON.stringify(results))
}

/**
 * Puts them where they are committed, named after the machine; not those that something else disturbed, whose spread would let `--check`
 * pass whatever comes.
 * @param {Results} results
 */
export function commit (results) {
  const { busyBefore } = results.machine
  if (busyBefore > QUIET) throw new Error(`not written: ${busyBefore} of the processors were busy with something else, ${QUIET} may be`)
  const file = new URL(`${nameOf(results.machine)}.json`, committed)
  mkdirSync(committed, { recursive: true })
  writeFileSync(file, `${JSON.stringify(results, undefined, 1)}\n`)
  return file
}

/** The committed results of the machine that is most like this one: the same, else one with the same Node. */
export function committedFor (machine) {
  const all = (existsSync(committed) ? readdirSync(committed) : []).filter(name => name.endsWith('.json'))
    .map(name => read(new URL(name, committed)))
  const alike = [isSame, hasSameNode, () => true]
  return alike.map(test => all.find(results => test(results.machine, machine))).find(results => results !== undefined)
}

/**
 * A long run is made in parts: each replaces what it measured anew. Figures of another machine or another Node are no part of it.
 * @param {Results | undefined} before @param {Results} fresh @returns {Results}
 */
export function merged (before, fresh) {
  if (before === undefined || !isSame(before.machine, fresh.machine)) return fresh
  const order = full.map(({ name }) => name)
  const own = fresh.groups ?? []
  const others = (before.groups ?? []).filter(({ name }) => !own.some(group => group.name === name))
  const groups = [...others, ...own].sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name))
  const busyBefore = Math.max(before.machine.busyBefore, fresh.machine.busyBefore)
  return { ...before, ...fresh, machine: { ...fresh.machine, busyBefore }, groups }
}

/** @param {{ processor: string, cores: number, node: string }} machine */
export function nameOf ({ processor, cores, node }) {
  return `${processor} ${cores} cores node ${major(node)}`.toLowerCase().replaceAll(/\(.*?\)|@/g, ' ').replaceAll(/[^a-z0-9]+/g, '-')
}

function isSame (one, other) {
  return nameOf(one) === nameOf(other)
}

export function hasSameNode (one, other) {
  return major(one.node) === major(other.node)
}

function major (node) {
  return /^v?(\d+)/.exec(node)?.[1] ?? node
}

function read (file) {
  return JSON.parse(readFileSync(file, 'utf8'))
}
