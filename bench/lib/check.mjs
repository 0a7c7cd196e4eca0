import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { bytesPerRequest } from './allocations.mjs'
import { guarded } from './groups.mjs'
import { table } from './markdown.mjs'
import { measureLaunch, requestFor, surroundings } from './measure.mjs'
import { undisturbed } from './pairs.mjs'
import { median } from './stats.mjs'
import { bare } from './variants.mjs'

const file = new URL('../baseline.json', import.meta.url)

/**
 * Against decay: CPU and allocations of a request, as ratios to a bare Fastify of the same run, beside those that
 * were committed. Allocations hardly vary; processor time does, hence the wider tolerance and several launches.
 */
const tolerance = Object.freeze({ cpu: 1.2, bytes: 1.05 })
const length = Object.freeze({ launches: 3, rounds: 2, seconds: 0.7, warmup: 0.7 })

/** Exit code 0 when nothing became worse. */
export async function check ({ baseline, only }, say) {
  const figures = await measureAll(guarded.filter(({ name }) => only === undefined || only.includes(name)), say)
  if (baseline) {
    writeFileSync(file, `${JSON.stringify({ node: process.version, tolerance, figures }, undefined, 2)}\n`)
    return 0
  }
  if (!existsSync(file)) throw new Error('bench/baseline.json is missing; --baseline writes it')
  const committed = JSON.parse(readFileSync(file, 'utf8'))
  if (committed.node.split('.')[0] !== process.version.split('.')[0]) {
    say(`The baseline is of Node ${committed.node}, this is ${process.version}: figures of other versions differ.`)
  }
  const found = compare(figures, committed)
  say(table(['case', 'figure', 'now', 'baseline', 'allowed', ''],
    found.map(({ name, figure, now, then, allowed, worse }) => [name, figure, now.toFixed(2), then.toFixed(2), allowed.toFixed(2), worse
      ? 'WORSE'
      : ''])))
  return found.some(({ worse }) => worse) ? 1 : 0
}

/** Each figure beside the committed one. A case that the baseline does not know is worse: nobody has looked at it. */
export function compare (figures, { tolerance: allowed, figures: committed }) {
  return Object.entries(figures).flatMap(([name, own]) => Object.keys(own).map(figure => {
    const then = committed[name]?.[figure] ?? 0
    const limit = then * allowed[figure]
    return { name, figure, now: own[figure], then, allowed: limit, worse: !(own[figure] <= limit) }
  }))
}

async function measureAll (groups, say) {
  const around = await surroundings()
  try {
    const figures = {}
    for (const group of groups) Object.assign(figures, await measureGroup(group, around, say))
    return figures
  } finally {
    await around.stop()
  }
}

async function measureGroup (group, around, say) {
  const pairs = []
  for (let launch = 0; launch < length.launches; launch++) pairs.push(...await measureLaunch(group, around, length))
  const reference = await allocated(bare, group, around)
  const figures = {}
  for (const variant of group.variants) {
    const cpu = median(undisturbed(pairs.filter(pair => pair.variant === variant)).map(({ cost }) => cost))
    const bytes = await allocated(variant, group, around) / reference
    figures[`${group.name} ${variant}`] = { cpu: round(cpu), bytes: round(bytes) }
  }
  say(JSON.stringify(figures))
  return figures
}

function allocated (variant, group, around) {
  const { expect, ...request } = requestFor(variant, group)
  return bytesPerRequest(variant, group.setting, request, around)
}

function round (value) {
  return Math.round(value * 1000) / 1000
}
