import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

/** What this script reads and writes of CycloneDX 1.5. */
export interface Component {
  readonly 'bom-ref': string
  readonly name: string
  readonly version: string
  readonly purl?: string
  readonly hashes?: ReadonlyArray<{ readonly alg: string, readonly content: string }>
  readonly licenses?: ReadonlyArray<{ readonly license?: { readonly id?: string }, readonly expression?: string }>
}
export interface Bom {
  readonly serialNumber: string
  readonly metadata: { readonly timestamp: string, readonly component: Component }
  readonly components: readonly Component[]
  readonly dependencies: ReadonlyArray<{ readonly ref: string, readonly dependsOn?: readonly string[] }>
}
interface Manifest {
  readonly name: string
  readonly version: string
  readonly dependencies: Readonly<Record<string, string>>
}

/**
 * The bill of materials of what is published, out of npm's bill of the whole lockfile. `npm sbom --omit dev` does not do: npm 11.19 leaves
 * out every package that a development dependency uses as well, 25 of 39 here, `helmet` among them.
 * The same lockfile gives the same bytes: npm's serial number is random and its timestamp is now.
 */
export function publishedBom (whole: Bom, manifest: Manifest, seconds: number): Bom {
  const uses = new Map(whole.dependencies.map(({ ref, dependsOn = [] }) => [ref, dependsOn]))
  const root = whole.metadata.component['bom-ref']
  const direct = (uses.get(root) ?? []).filter(ref => Object.hasOwn(manifest.dependencies, nameOf(ref)))
  const published = reached(direct, uses)
  const bom = {
    ...whole,
    // npm names a checkout after its folder.
    metadata: {
      ...whole.metadata,
      timestamp: new Date(seconds * 1000).toISOString(),
      component: { ...whole.metadata.component, name: manifest.name }
    },
    components: whole.components.filter(component => published.has(component['bom-ref'])),
    dependencies: [{ ref: root, dependsOn: direct }, ...whole.dependencies.filter(({ ref }) => published.has(ref))]
  }
  return { ...bom, serialNumber: serialOf(JSON.stringify({ ...bom, serialNumber: '' })) }
}

/** What is missing in a bill of materials; empty: nothing. */
export function gapsOf (bom: Bom, manifest: Manifest): string[] {
  const names = new Set(bom.components.map(({ name }) => name))
  return [
    ...Object.keys(manifest.dependencies).filter(name => !names.has(name)).map(name => `${name}: no component`),
    ...bom.components.flatMap(component => [
      component.purl?.startsWith('pkg:npm/') !== true && 'no purl',
      component.hashes?.some(({ alg }) => alg === 'SHA-512') !== true && 'no SHA-512',
      licensesOf(component).length === 0 && 'no licence'
    ].filter(gap => gap !== false).map(gap => `${component['bom-ref']}: ${gap}`))
  ]
}

export function licensesOf ({ licenses = [] }: Component): string[] {
  return licenses.map(({ license, expression }) => license?.id ?? expression).filter(id => id !== undefined)
}

/** Runs npm in `root`. Nothing is installed or fetched: npm reads the lockfile. */
export function bomOf (root: string): { bom: Bom, manifest: Manifest } {
  const run = (program: string, ...args: string[]) =>
    execFileSync(program, args, { cwd: root, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024, stdio: ['ignore', 'pipe', 'inherit'] })
  const manifest = JSON.parse(readFileSync(`${root}/package.json`, 'utf8')) as Manifest
  const whole = JSON.parse(run('npm', 'sbom', '--sbom-format=cyclonedx', '--sbom-type=library', '--package-lock-only')) as Bom
  const seconds = Number(process.env['SOURCE_DATE_EPOCH'] ?? run('git', '-c', 'safe.directory=*', 'log', '-1', '--format=%ct'))
  return { bom: publishedBom(whole, manifest, seconds), manifest }
}

function nameOf (ref: string): string {
  return ref.slice(0, ref.lastIndexOf('@'))
}

function reached (from: readonly string[], uses: ReadonlyMap<string, readonly string[]>): Set<string> {
  const found = new Set(from)
  // A set yields what is added to it on the way.
  for (const ref of found) for (const next of uses.get(ref) ?? []) found.add(next)
  return found
}

/** A UUID of version 8 (RFC 9562): its bits are ours to choose. */
function serialOf (text: string): string {
  const hex = createHash('sha256').update(text).digest('hex')
  return `urn:uuid:${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

function main (root: string, file: string | undefined): void {
  const { bom, manifest } = bomOf(root)
  const gaps = gapsOf(bom, manifest)
  if (gaps.length > 0) throw new Error(`the bill of materials is incomplete:\n  ${gaps.join('\n  ')}`)
  const target = file ?? `${root}.build/${manifest.name}-${manifest.version}.cdx.json`
  mkdirSync(dirname(target), { recursive: true })
  writeFileSync(target, `${JSON.stringify(bom, null, 2)}\n`)
  console.log(`${target}: ${bom.components.length} components`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main(fileURLToPath(new URL('..', import.meta.url)), process.argv[2])
