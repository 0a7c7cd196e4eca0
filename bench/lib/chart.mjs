import { ratio } from './markdown.mjs'
import { bare, variants } from './variants.mjs'

const shown = [
  { group: 'RS256-1', label: 'one token', colour: 'first' },
  { group: 'RS256-20000', label: '20,000 tokens in turn', colour: 'second' },
  { group: 'RS256-new', label: 'every token new', colour: 'third' }
]

const size = { width: 860, left: 300, right: 60, top: 64, bar: 11, gap: 10 }

const style = `
  .page { fill: #ffffff }
  text { fill: #1f2328; font: 13px system-ui, sans-serif }
  .title { font-size: 15px; font-weight: 600 }
  .value { font-size: 10px }
  .grid { stroke: #d0d7de }
  .first { fill: #0969da }
  .second { fill: #bc4c00 }
  .third { fill: #6e7781 }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 }
    text { fill: #e6edf3 }
    .grid { stroke: #30363d }
    .first { fill: #58a6ff }
    .second { fill: #f0883e }
    .third { fill: #8b949e }
  }`

/**
 * Throughput as a part of bare Fastify's, one row of bars a server. Brings its own background, so that it can be read
 * whatever is around it.
 */
export function chart (groups) {
  const series = shown.filter(({ group }) => groups.some(({ name }) => name === group)).map(one =>
    ({ ...one, values: valuesOf(groups.find(({ name }) => name === one.group)) }))
  const names = [...new Set(series.flatMap(({ values }) => [...values.keys()]))]
  const step = series.length * size.bar + size.gap
  const height = size.top + names.length * step + 30
  const scale = value => value * (size.width - size.left - size.right)
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.width} ${height}" width="${size.width}" height="${height}" role="img">
<title>Throughput as a part of bare Fastify, RS256</title>
<style>${style}
</style>
<rect class="page" width="100%" height="100%" rx="6"/>
<text class="title" x="16" y="24">Throughput as a part of bare Fastify, RS256, all controls on</text>
${legend(series)}
${grid(scale, height)}
${names.map((name, row) => bars(name, size.top + row * step, series, scale)).join('\n')}
</svg>
`
}

function valuesOf ({ rows }) {
  const others = rows.filter(({ variant, versus }) => versus === bare && variant !== bare)
  return new Map(others.map(({ variant, rate }) => [variant, rate.median]))
}

function legend (series) {
  return series.map(({ label, colour }, index) => {
    const x = 16 + index * 190
    return `<rect class="${colour}" x="${x}" y="36" width="12" height="12"/><text x="${x + 18}" y="47">${label}</text>`
  }).join('\n')
}

function grid (scale, height) {
  return [0, 0.25, 0.5, 0.75, 1].map(at => {
    const x = size.left + scale(at)
    return `<line class="grid" x1="${x}" x2="${x}" y1="${size.top}" y2="${height - 26}"/>` +
      `<text class="value" x="${x}" y="${height - 12}" text-anchor="middle">${at}</text>`
  }).join('\n')
}

function bars (name, top, series, scale) {
  const middle = top + series.length * size.bar / 2
  const drawn = series.flatMap(({ colour, values }, index) => {
    const value = values.get(name)
    if (value === undefined) return []
    const [y, width] = [top + index * size.bar, Math.max(1, scale(Math.min(value, 1.05)))]
    return [
      `<rect class="${colour}" x="${size.left}" y="${y}" width="${width.toFixed(1)}" height="${size.bar - 1}"/>`,
      `<text class="value" x="${(size.left + width + 4).toFixed(1)}" y="${y + size.bar - 2}">${ratio(value)}</text>`
    ]
  })
  const title = escape(variants[name].title.replaceAll('`', ''))
  return `<text x="${size.left - 8}" y="${middle + 4}" text-anchor="end">${title}</text>${drawn.join('')}`
}

function escape (text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
