import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const root = fileURLToPath(new URL('..', import.meta.url))
const { dependencies, devDependencies, peerDependencies = {} } = JSON.parse(readFileSync(join(root, 'package.json'),
  'utf8')) as Record<string, Record<string, string>>

/** What each file of the published folders imports: by `from '…'`, `import '…'`, `import('…')` or `createRequire(…)('…')`. */
const statements = /^(?!\s*(?:\*|\/\/)).*?(?:\bfrom |\bimport |\bimport\(|createRequire\(import\.meta\.url\)\()'([^']+)'/gm
const imports = new Map(['plugins', 'lib', 'testing',
  'cli'].flatMap(folder => readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
  .filter(name => name.endsWith('.ts')).map(name => [posix.join(folder, name), importsOf(posix.join(folder, name))] as const)))

function importsOf (file: string): string[] {
  return [...readFileSync(join(root, file), 'utf8').matchAll(statements)].map(([, name = '']) => name.startsWith('.')
    ? posix.join(dirname(file), name)
    : name)
}

const isOurs = (name: string) => imports.has(name)
const topOf = (file: string) => file.split('/')[0] ?? ''
/** `lib/keys` for a file in there. */
const libFolderOf = (file: string) => /^lib\/[^/]+/.exec(file)?.[0]

const packagesOf = (files: typeof imports | ReadonlyArray<readonly [string, string[]]>) => new Set([...files].flatMap(([, names]) => names)
  .filter(name => !isOurs(name) && !name.startsWith('node:')).map(name => name.split('/', name.startsWith('@') ? 2 : 1).join('/'))
  .filter(name => name !== 'fastify-secure-api'))

t.test('every dependency is imported by what is published', async t => {
  for (const name of Object.keys(dependencies ?? {})) t.ok(packagesOf(imports).has(name), name)
})

t.test('everything that is imported is a dependency or a peer', async t => {
  const declared = { ...dependencies, ...peerDependencies }
  // What the command imports besides is the application's: fastify, tsx.
  for (const name of packagesOf([...imports].filter(([file]) => topOf(file) !== 'cli'))) t.ok(name in declared, name)
})

t.test('every peer is also installed for the tests', async t => {
  for (const name of Object.keys(peerDependencies)) t.ok(name in (devDependencies ?? {}), name)
})

t.test('every relative import names a file of a published folder', async t => {
  for (const [file, names] of imports) {
    t.strictSame(names.filter(name => name.endsWith('.ts') && !isOurs(name)), [], file)
  }
})

t.test('16.12: who may import whom', async t => {
  const permitted: Readonly<Record<string, readonly string[]>> = {
    lib: ['lib'], plugins: ['plugins', 'lib'], testing: ['testing', 'plugins', 'lib'], cli: ['cli', 'testing', 'plugins', 'lib']
  }
  for (const [file, names] of imports) {
    t.strictSame(names.filter(name => isOurs(name) && !permitted[topOf(file)]?.includes(topOf(name))), [], file)
  }
})

t.test('16.12: a folder of lib is met only through its index', async t => {
  for (const [file, names] of imports) {
    const inner = names.filter(name => libFolderOf(name) !== undefined && libFolderOf(name) !== libFolderOf(file) &&
      posix.basename(name) !== 'index.ts')
    t.strictSame(inner, [], file)
  }
})

t.test('16.12: no circles between files, and none between the folders of lib', async t => {
  t.strictSame(circlesOf(imports), [])
  const folders = new Map<string, string[]>()
  for (const [file, names] of imports) {
    const own = libFolderOf(file)
    if (own !== undefined) {
      folders.set(own, [...folders.get(own) ?? [],
        ...names.flatMap(name => libFolderOf(name) ?? []).filter(name => name !== own)])
    }
  }
  t.ok(folders.size > 10)
  t.strictSame(circlesOf(folders), [])
  t.strictSame(circlesOf(new Map([['a', ['b']], ['b', ['c', 'd']], ['c', ['b']], ['d', []], ['e', ['e']]])),
    [['b', 'c'], ['c', 'b'], ['e']], 'they would be found')
})

/** For each node in a circle, a way from it to itself. */
function circlesOf (graph: ReadonlyMap<string, readonly string[]>): string[][] {
  return [...graph.keys()].flatMap(node => {
    const way = wayBack(graph, node, [node], new Set())
    return way === undefined ? [] : [way]
  })
}

function wayBack (graph: ReadonlyMap<string, readonly string[]>, target: string, way: readonly string[],
  seen: Set<string>): string[] | undefined {
  for (const next of graph.get(way.at(-1) ?? '') ?? []) {
    if (next === target) return [...way]
    if (seen.has(next)) continue
    const found = wayBack(graph, target, [...way, next], seen.add(next))
    if (found !== undefined) return found
  }
  return undefined
}

t.test('17.10: what require() returns is the plugin, with every other export as a property', async t => {
  const { 'module.exports': required, ...suite } = await import('../plugins/index.ts')
  t.equal(required, suite.default)
  for (const [name, value] of Object.entries(suite)) t.equal(Reflect.get(required, name), value, name)
})
