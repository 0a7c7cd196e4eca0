import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { byKind, flameGraph, fold, selfTimes } from './lib/flame.mjs'
import { prepare } from './lib/prepare.mjs'

const { values } = parseArgs({
  options: {
    variant: { type: 'string', default: 'suite+server' },
    group: { type: 'string', default: 'RS256-20000' },
    seconds: { type: 'string', default: '5' },
    out: { type: 'string' },
    dist: { type: 'string' }
  }
})
prepare(values.dist)
const { full } = await import('./lib/groups.mjs')
const { loadOn, launch, surroundings } = await import('./lib/measure.mjs')
const { table } = await import('./lib/markdown.mjs')

const group = full.find(({ name }) => name === values.group)
if (group === undefined) throw new TypeError(`no group ${values.group}; there are ${full.map(({ name }) => name).join(', ')}`)

const around = await surroundings()
const server = await launch(values.variant, group.setting, around)
try {
  for (let warm = 0; warm < 3; warm++) await loadOn(server, group, around, 2)
  await server.call('startProfile')
  await loadOn(server, group, around, Number(values.seconds))
  const root = fold(await server.call('stopProfile'))
  const title = `${values.variant}, ${group.title}: where the processor's time goes`
  writeFileSync(values.out ?? new URL('../docs/performance-flame.svg', import.meta.url), flameGraph(root, title))
  console.log(table(['whose', 'part'], byKind(root).map(({ label, part }) => [label, percent(part)])))
  const longest = selfTimes(root).slice(0, 40).map(({ name, place, part }) => [name, place, percent(part)])
  console.log(`\n${table(['function', 'where', 'self'], longest)}`)
} finally {
  await server.stop()
  await around.stop()
}

function percent (part) {
  return `${(part * 100).toFixed(1)} %`
}
