import { measureFlood } from './flood.mjs'
import { calm, full, quick } from './groups.mjs'
import { measureLatency } from './latency.mjs'
import { measureJs } from './js.mjs'
import { describeMachine, QUIET } from './machine.mjs'
import { measureLaunch, surroundings } from './measure.mjs'
import { measureMemory } from './memory.mjs'
import { measureOneCore } from './one-core.mjs'
import { isFatal, probe } from './probe.mjs'
import { missing as redisMissing, startRedis } from './redis.mjs'
import { groupTable } from './report.mjs'
import { collapsed, rowsOf } from './rows.mjs'
import { measureStart } from './start.mjs'
import { isSuite, variants } from './variants.mjs'

/** What is measured beside throughput, by the name that `--only` takes. */
export const sections = {
  js: { measure: measureJs, keys: ['variant', 'group'] },
  'one-core': { measure: measureOneCore, keys: ['variant', 'group', 'title'] },
  latency: { measure: measureLatency, keys: ['variant'] },
  flood: { measure: measureFlood, keys: ['variant', 'algorithm', 'from'] },
  start: { measure: measureStart, keys: ['variant'] },
  memory: { measure: measureMemory, keys: ['variant'] }
}

/**
 * @param {ReturnType<import('./arguments.mjs').parseArguments> & { peers?: boolean }} options
 * @param {(text: string) => void} say progress
 */
export async function run ({ quick: isQuick = false, only, peers = true, length }, say) {
  const wanted = name => only === undefined || only.some(part => name === part || name.startsWith(`${part}-`))
  const machine = await describeMachine()
  if (machine.busyBefore > QUIET) say(`Something else runs here: ${machine.busyBefore} of the processors were busy before this run.`)
  const around = await surroundings()
  try {
    const groups = []
    for (const group of (isQuick ? quick : full).filter(({ name }) => wanted(name))) {
      groups.push(await measureGroup(peers ? group : { ...group, variants: group.variants.filter(isSuite) }, around, length))
      say(groupTable(groups.at(-1)))
    }
    const results = { machine, groups }
    for (const [name, { measure, keys }] of Object.entries(sections).filter(([name]) => isQuick ? only?.includes(name) : wanted(name))) {
      say(name)
      results[name] = { rows: collapsed(await measure(around, length), keys) }
    }
    return results
  } finally {
    await around.stop()
  }
}

/** @param {import('./groups.mjs').Group} group */
async function measureGroup (group, around, stated) {
  const { name, title, refused = false, times = 1 } = group
  const length = { ...stated, rounds: stated.rounds * times, seconds: stated.seconds * times }
  const about = { name, title, refused, length }
  if (group.needs === 'redis' && redisMissing !== undefined) {
    return { ...about, rows: [], notRun: group.variants.map(variant => ({ variant, why: redisMissing })), findings: [] }
  }
  const redis = group.needs === 'redis' ? await startRedis() : undefined
  try {
    const setting = { ...group.setting, ...(redis === undefined ? undefined : { redis: redis.url }) }
    const { able, notRun, findings } = await choose({ ...group, setting }, around)
    const couples = group.couples?.filter(couple => couple.every(variant => able.includes(variant)))
    const pairs = []
    for (let launch = 0; launch < length.launches && able.length > 0; launch++) {
      pairs.push(...await measureLaunch({ ...group, setting, variants: able, couples }, around, length))
    }
    return { ...about, rows: rowsOf(pairs), notRun, findings }
  } finally {
    await redis?.stop()
  }
}

/** Leaves out whom the machine lacks, and who does not answer as a server with these controls should. */
async function choose (group, around) {
  const [able, notRun, findings] = [[], [], []]
  for (const variant of group.variants) {
    const { missing } = variants[variant]
    const found = missing === undefined ? await findingsOf(variant, group, around) : []
    const fatal = found.filter(isFatal)
    if (missing !== undefined) notRun.push({ variant, why: missing })
    else if (fatal.length > 0) notRun.push({ variant, why: fatal.map(({ check, got }) => `${check}: ${got}`).join(', ') })
    else able.push(variant)
    findings.push(...found.filter(finding => !isFatal(finding)).map(finding => ({ variant, ...finding })))
  }
  return { able, notRun, findings }
}

const known = new Map()

/** Asked once for each server, algorithm and store; a build that refuses an option at boot says so here. */
async function findingsOf (variant, { algorithm, setting: { redis } }, around) {
  const asked = { ...calm, algorithm, redis }
  const key = JSON.stringify([variant, algorithm, redis])
  const present = known.get(key)
  if (present !== undefined) return present
  const found = await probe(variant, { algorithm, setting: asked }, around).catch(error => [{ check: 'good token', got: firstLine(error) }])
  known.set(key, found)
  return found
}

function firstLine ({ message }) {
  return message.split('\n')[0].slice(0, 200)
}
