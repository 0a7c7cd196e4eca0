import { cores, start } from './children.mjs'
import { audience, issuer, origin, scope } from './material.mjs'
import { bare, isSuite, variants } from './variants.mjs'

/** A bare server is measured again before every so many others: the machine's speed drifts. */
const NEIGHBOURS = 3
/** Requests before the load that is measured. */
const COMPILED = 15_000
/** Fewer connections than an address may fail (20): more verifications than that are not let in at once, and wait in a queue. */
const FIRST = 16

/**
 * @typedef {{ answered: number, seconds: number, lost: number, p50: number, p99: number, cpuUs: number, rss: number,
 *   expected: number }} Sample
 * @typedef {{ variant: string, versus: string, rate: number, cost: number, busy: number, sample: Sample }} Pair ratios to the other one in
 *   its window of that moment, a bare Fastify mostly, and how busy the less busy of the two was
 */

/** Whoever sends requests, and who signed the tokens. One pair for a whole run. @param {number} [core] */
export async function surroundings (core = cores.load) {
  const [load, provider] = await Promise.all([start('./load-process.mjs', { core }), start('./issuer-process.mjs', { core })])
  const { jwksUri } = await provider.call('address')
  return { load, provider, jwksUri, stop: () => Promise.all([load.stop(), provider.stop()]) }
}

/**
 * @param {string} variant
 * @param {object} setting
 * @param {{ jwksUri: string }} around
 * @param {readonly string[]} [flags] of Node
 */
export async function launch (variant, setting, { jwksUri }, flags = []) {
  const process = await start('./server-process.mjs', { core: cores.server, flags, env: { NODE_NO_WARNINGS: '1' } })
  try {
    const started = await process.call('start', {
      variant: variants[variant].module,
      setting: { issuer, audience, origin, scope, jwksUri, ...setting, ...variants[variant].setting }
    })
    return { ...process, variant, port: started.port, started }
  } catch (error) {
    await process.stop()
    throw error
  }
}

/**
 * Rounds of one group in which every variant has its turn, each time beside a bare Fastify.
 *
 * @param {import('./groups.mjs').Group} group
 * @param {{ rounds: number, seconds: number, warmup: number }} length
 * @returns {Promise<readonly Pair[]>}
 */
export async function measureLaunch (group, around, { rounds, seconds, warmup }) {
  const servers = await launchAll(group, around)
  try {
    const pairs = []
    for (const server of servers.values()) await warm(server, group, around, warmup)
    for (let round = 0; round < rounds; round++) pairs.push(...await measureRound(turns(group, round), servers, group, around, seconds))
    return pairs
  } finally {
    await Promise.all([...servers.values()].map(server => server.stop()))
  }
}

/**
 * Every token is sent once, and then the load that is measured, so that what is measured is the state that lasts: in its first seconds a
 * request costs up to twice as much, since V8 compiles on the core of the server and its heap grows. A bare Fastify beside it is long
 * past that. Peers that remember no token, and are many times slower, get a time for the first part.
 */
export async function warm (server, group, { load }, seconds) {
  const { expect, ...request } = requestFor(server.variant, group)
  const atMost = patience(server.variant)
  const amount = Math.max(COMPILED, request.pool?.count ?? 0)
  await load.call('exactly', { port: server.port, amount, atMost, connections: FIRST, ...request })
  await loadOn(server, group, { load }, seconds)
}

/** Seconds, at most, for tokens that are sent once. */
function patience (variant) {
  const { remembers = false, checked = true } = variants[variant]
  if (isSuite(variant) || !checked) return 30
  return remembers ? 5 : 1
}

async function launchAll (group, around) {
  const servers = new Map()
  for (const variant of [bare, ...group.variants]) servers.set(variant, await launch(variant, group.setting, around))
  return servers
}

/**
 * Who is measured beside whom in a round: a few at a time, or all couples that a group compares, one after the other. Who comes first
 * changes from round to round, since a machine that slows down would always harm the same one.
 */
export function turns ({ variants: all, couples }, round) {
  if (couples !== undefined) return [[...new Set(couples.flatMap(couple => round % 2 === 0 ? couple : couple.toReversed()))]]
  const order = rotate(all, round)
  return Array.from({ length: Math.ceil(order.length / NEIGHBOURS) }, (_, at) => order.slice(at * NEIGHBOURS, (at + 1) * NEIGHBOURS))
}

async function measureRound (sets, servers, group, around, seconds) {
  const pairs = []
  const sampleOf = variant => loadOn(servers.get(variant), group, around, seconds)
  for (const set of sets) {
    const reference = await sampleOf(bare)
    const samples = new Map([[bare, reference]])
    for (const variant of set) samples.set(variant, await sampleOf(variant))
    for (const [variant, sample] of samples) pairs.push(pair(variant, sample, bare, reference))
    for (const [variant, versus] of group.couples ?? []) {
      if (samples.has(variant) && samples.has(versus)) pairs.push(pair(variant, samples.get(variant), versus, samples.get(versus)))
    }
  }
  return pairs
}

/** @returns {Pair} */
function pair (variant, sample, versus, reference) {
  return {
    variant,
    versus,
    rate: rateOf(sample) / rateOf(reference),
    cost: costOf(sample) / costOf(reference),
    busy: Math.min(busyOf(sample), busyOf(reference)),
    sample
  }
}

/** @returns {Promise<Sample>} */
export async function loadOn (server, group, { load }, seconds) {
  const before = await server.call('usage')
  const run = await load.call('saturate', { port: server.port, seconds, ...requestFor(server.variant, group) })
  const after = await server.call('usage')
  return { ...run, cpuUs: after.cpuUs - before.cpuUs, rss: after.rss }
}

/** What the load sends to a server, and the status it must get. */
export function requestFor (variant, { pool, method = 'GET', headers = {}, expect }) {
  const { sends = true, checked = true } = variants[variant]
  if (!checked) return { headers: { origin }, expect: 200, ...(sends ? { pool } : undefined) }
  return { method, headers: { origin, ...headers }, pool, expect }
}

/** Answers a second. */
export function rateOf ({ answered, seconds }) {
  return answered / seconds
}

/** Microseconds of the server's processor for each answer. */
export function costOf ({ cpuUs, answered }) {
  return cpuUs / answered
}

/** The part of the time in which the server's processor worked for it. */
export function busyOf ({ cpuUs, seconds }) {
  return cpuUs / (seconds * 1e6)
}

function rotate (list, by) {
  const at = by % list.length
  return [...list.slice(at), ...list.slice(0, at)]
}
