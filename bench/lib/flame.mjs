/**
 * @typedef {{ name: string, place: string, self: number, total: number, children: Map<string, Frame> }} Frame
 */

/** Narrower ones cannot be seen, and would be most of the file. */
const THINNEST = 0.0015
const size = { width: 1200, row: 17, head: 54 }

const colours = { suite: '#f2a33a', fastify: '#79b8ff', node: '#9fb1bd', engine: '#c5b3e6', other: '#8fd19e' }

const labels = { suite: 'this package', fastify: 'Fastify', node: 'Node', engine: 'V8 and system', other: 'other packages' }

/**
 * One tree of frames from the samples, callers below callees.
 * @param {import('node:inspector').Profiler.Profile} profile
 * @returns {Frame}
 */
export function fold ({ nodes, samples = [], timeDeltas = [] }) {
  const byId = new Map(nodes.map(node => [node.id, { ...node, time: 0 }]))
  samples.forEach((id, index) => { byId.get(id).time += Math.max(0, timeDeltas[index] ?? 0) })
  return build(byId.get(nodes[0].id), byId)
}

function build (node, byId) {
  const { functionName, url, lineNumber } = node.callFrame
  const frame = {
    name: functionName || '(anonymous)',
    place: placeOf(url, lineNumber),
    self: node.time,
    total: node.time,
    children: new Map()
  }
  for (const id of node.children ?? []) merge(frame, build(byId.get(id), byId))
  return frame
}

/** The same function called from two lines is one frame here. */
function merge (parent, child) {
  if (isForeign(child)) return
  const key = `${child.name} ${child.place}`
  const present = parent.children.get(key)
  parent.total += child.total
  if (present === undefined) parent.children.set(key, child)
  else add(present, child)
}

/** Waiting, and the profiler's own work, are no part of the picture. */
function isForeign ({ name, place }) {
  return name === '(idle)' || (name === 'dispatch' && place === '')
}

function add (into, from) {
  into.self += from.self
  into.total += from.self
  for (const child of from.children.values()) merge(into, child)
}

/** Without the folders of this machine. */
function placeOf (url, line) {
  if (url === '') return ''
  const path = url.replace(/^file:\/\//, '')
  return `${shortPath(path)}:${line + 1}`
}

function shortPath (path) {
  if (path.includes('/node_modules/')) return path.replace(/^.*\/node_modules\//, '')
  return path.replace(/^.*\/(?=(?:plugins|lib|servers)\/)/, '')
}

/** @param {Frame} frame */
function kindOf ({ name, place }) {
  if (place === '') return 'engine'
  if (place.startsWith('node:')) return 'node'
  if (/^(plugins|lib)\//.test(place)) return 'suite'
  return /^(fastify|find-my-way|fast-json-stringify|avvio)\//.test(place) ? 'fastify' : 'other'
}

/** Self times by function, largest first, as parts of the whole. @param {Frame} root */
export function selfTimes (root) {
  const sums = new Map()
  visit(root, frame => {
    const key = `${frame.name}|${frame.place}`
    const sum = sums.get(key) ?? { name: frame.name, place: frame.place, kind: kindOf(frame), self: 0 }
    sum.self += frame.self
    sums.set(key, sum)
  })
  return [...sums.values()].map(sum => ({ ...sum, part: sum.self / root.total })).sort((a, b) => b.self - a.self)
}

/** Where the time goes, by whose code it is. @param {Frame} root */
export function byKind (root) {
  return Object.keys(colours).map(kind => ({
    label: labels[kind],
    part: selfTimes(root).filter(one => one.kind === kind).reduce((sum, { part }) => sum + part, 0)
  }))
}

function visit (frame, see) {
  see(frame)
  for (const child of frame.children.values()) visit(child, see)
}

/** @param {Frame} root @param {string} title */
export function flameGraph (root, title) {
  const boxes = []
  const depth = layOut(root, 0, 0, root.total, boxes)
  const height = size.head + (depth + 1) * size.row + 8
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.width} ${height}" width="${size.width}" height="${height}" role="img">
<title>${escape(title)}</title>
<style>
  .page { fill: #ffffff }
  .legend { fill: #1f2328; font: 13px system-ui, sans-serif }
  .box { fill: #111111; font: 11px ui-monospace, monospace }
  rect { stroke: #ffffff; stroke-width: 0.5 }
  @media (prefers-color-scheme: dark) { .page { fill: #0d1117 } .legend { fill: #e6edf3 } rect { stroke: #0d1117 } }
</style>
<rect class="page" width="100%" height="100%"/>
<text class="legend" x="10" y="20">${escape(title)}</text>
${Object.keys(colours).map(legendEntry).join('\n')}
${boxes.map(box => draw(box, height)).join('\n')}
</svg>
`
}

function legendEntry (kind, index) {
  const x = 10 + index * 150
  return `<rect x="${x}" y="31" width="12" height="12" fill="${colours[kind]}"/>` +
    `<text class="legend" x="${x + 17}" y="42">${labels[kind]}</text>`
}

function layOut (frame, level, left, whole, boxes) {
  boxes.push({ frame, level, left: left / whole, width: frame.total / whole })
  let deepest = level
  let at = left
  for (const child of [...frame.children.values()].sort((a, b) => b.total - a.total)) {
    if (child.total / whole >= THINNEST) deepest = Math.max(deepest, layOut(child, level + 1, at, whole, boxes))
    at += child.total
  }
  return deepest
}

function draw ({ frame, level, left, width }, height) {
  const x = left * size.width
  const wide = width * size.width
  const y = height - 8 - (level + 1) * size.row
  const fits = Math.floor((wide - 6) / 6.7)
  const label = fits >= 3 ? `<text class="box" x="${(x + 3).toFixed(1)}" y="${y + 12}">${escape(shorten(frame.name, fits))}</text>` : ''
  const title = `<title>${escape(`${frame.name} ${frame.place}`)} ${(width * 100).toFixed(1)} %</title>`
  const box = `x="${x.toFixed(1)}" y="${y}" width="${wide.toFixed(1)}" height="${size.row - 1}"`
  return `<g>${title}<rect ${box} fill="${colours[kindOf(frame)]}"/>${label}</g>`
}

function shorten (text, length) {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`
}

function escape (text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
