import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { svg } from './svg.ts'

/**
 * Gives each link whose text is a name in code the line on which its file defines that name:
 * [`compileRoute`](../lib/pipeline/compile.ts#L18).
 * Throws where the file does not define it, so that the page never tells of code that is gone.
 */
export function withLines (page: string, folder: string): string {
  return page.replace(/\[`([\w.#]+)(\(\))?`\]\(([^)#]+\.ts)(?:#L\d+)?\)/g, (_link, name: string, call = '', path: string) =>
    `[\`${name}${call}\`](${path}#L${lineOf(name.split('.').at(-1) ?? name, join(folder, path))})`)
}

function lineOf (name: string, file: string): number {
  const lines = readFileSync(file, 'utf8').split('\n')
  const found = lines.findIndex(line => defines(line, name))
  if (found === -1) throw new Error(`${file} does not define ${name}`)
  return found + 1
}

/** A function, class, constant, interface or type at the left margin, or a method. */
function defines (line: string, name: string): boolean {
  const plain = name.replace('#', '')
  return new RegExp(`^(?:export )?(?:default )?(?:abstract )?(?:async )?(?:function|class|const|interface|type) ${plain}\\b`).test(line) ||
    new RegExp(`^  (?:async |readonly |get )?#?${plain} ?[(<=:]`).test(line)
}

interface Folder { readonly name: string, readonly uses: readonly string[] }

/** The folders of lib, and which others each one imports. */
export function foldersOf (root: string): Folder[] {
  const lib = join(root, 'lib')
  return readdirSync(lib).sort().map(name => {
    const texts = readdirSync(join(lib, name)).filter(file => file.endsWith('.ts')).map(file => readFileSync(join(lib, name, file), 'utf8'))
    const uses = new Set(texts.flatMap(text => [...text.matchAll(/from '\.\.\/([\w-]+)\/index\.ts'/g)].map(([, used = '']) => used)))
    return { name, uses: [...uses].sort() }
  })
}

/** Each folder below those that use it: the lowest use no other. Throws on a circle. */
export function layersOf (folders: readonly Folder[]): Folder[][] {
  const layers: Folder[][] = []
  const placed = new Set<string>()
  while (placed.size < folders.length) {
    const layer = folders.filter(({ name, uses }) => !placed.has(name) && uses.every(used => placed.has(used)))
    if (layer.length === 0) throw new Error(`circle among ${folders.flatMap(({ name }) => placed.has(name) ? [] : [name]).join(', ')}`)
    for (const { name } of layer) placed.add(name)
    layers.push(layer)
  }
  return layers
}

export interface Placed { readonly phase: string, readonly name: string }

/** The picture of docs/architecture.md: the order of a request, and the layers of lib. */
export function architecturePicture (root: string, phases: readonly string[], controls: readonly Placed[]): string {
  const rows = phases.map((phase, index) => phaseRow(root, phase, controls.filter(control => control.phase === phase), index))
  const layers = layersOf(foldersOf(root)).reverse().flatMap(rowsOf)
  const height = Math.max(phases.length * 44, layers.length * 92) + 90
  const body = `<text x="20" y="32" font-size="17" font-weight="600">The order of a request</text>
<text class="dim" x="20" y="52">phase, its controls, and the plugin that adds each</text>
${rows.join('\n')}
<text x="640" y="32" font-size="17" font-weight="600">lib</text>
<text class="dim" x="640" y="52">each folder uses only folders below it, through their index.ts</text>
${layers.map((layer, index) => layerRow(layer, index)).join('\n')}`
  return svg(1180, height, 'The order of a request, and the layers of lib', colours, body)
}

const colours = {
  light: '.box { fill: #f6f8fa; stroke: #d1d9e0 } .bar { fill: #0969da }',
  dark: '.box { fill: #151b23; stroke: #3d444d }'
}

/** Four boxes fit side by side. */
function rowsOf (layer: readonly Folder[]): Folder[][] {
  const rows = Math.ceil(layer.length / 4)
  const each = Math.ceil(layer.length / rows)
  return Array.from({ length: rows }, (_row, index) => layer.slice(index * each, (index + 1) * each))
}

function phaseRow (root: string, phase: string, controls: readonly Placed[], index: number): string {
  const y = 70 + index * 44
  const texts = controls.map(({ name }) => `${name} · ${pluginOf(root, name)}`)
  return `<rect class="bar" x="20" y="${y}" width="4" height="34" rx="2"/>
<text x="36" y="${y + 22}" font-weight="600">${phase}</text>
${texts.map((text, line) => `<text class="dim" x="170" y="${y + 22 + (line - (texts.length - 1) / 2) * 16}">${text}</text>`).join('\n')}`
}

/** The file that adds a control of this name. */
function pluginOf (root: string, name: string): string {
  const folder = join(root, 'plugins')
  const file = readdirSync(folder).find(file => readFileSync(join(folder, file), 'utf8').includes(`name: '${name}'`))
  if (file === undefined) throw new Error(`no plugin adds ${name}`)
  return `plugins/${file}`
}

function layerRow (layer: readonly Folder[], index: number): string {
  const y = 70 + index * 92
  const width = 520 / layer.length - 8
  return layer.map(({ name, uses }, column) => {
    const x = 640 + column * (width + 8)
    const left = (x + 8).toFixed(1)
    const used = wrapped(uses, width).map((text, line) =>
      `<text class="dim" font-size="10.5" x="${left}" y="${y + 40 + line * 13}">${text}</text>`)
    return `<rect class="box" x="${x.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="80" rx="6"/>
<text x="${left}" y="${y + 22}" font-weight="600">${name}</text>
${used.join('\n')}`
  }).join('\n')
}

function wrapped (names: readonly string[], width: number): string[] {
  const lines: string[] = []
  for (const name of names) {
    const last = lines.at(-1)
    if (last !== undefined && (last.length + name.length + 2) * 6 < width - 16) lines[lines.length - 1] = `${last}, ${name}`
    else lines.push(name)
  }
  return lines.slice(0, 4)
}

/** The text of docs/architecture.md, which is written by hand but for the lines of its links. */
export function architecturePage (file: string): string {
  return withLines(readFileSync(file, 'utf8'), dirname(file))
}
