import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const root = fileURLToPath(new URL('..', import.meta.url))
const { dependencies, devDependencies, peerDependencies = {} } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<string, Record<string, string>>

/** Packages that the published folders load: by `from '…'`, `import('…')` or `createRequire(…)('…')`. */
function imported (...folders: string[]): Set<string> {
  const files = folders.flatMap(folder => readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts')).map(name => join(root, folder, name)))
  const specifiers = files.flatMap(file => [...readFileSync(file, 'utf8').matchAll(/^(?!\s*\*).*?(?:from |import |import\(|createRequire\(import\.meta\.url\)\()'([^'.][^']*)'/gm)].map(([, name = '']) => name))
  return new Set(specifiers.filter(name => !name.startsWith('node:')).map(name => name.split('/', name.startsWith('@') ? 2 : 1).join('/')))
}

const used = imported('plugins', 'lib', 'testing')

t.test('every dependency is imported by what is published', async t => {
  for (const name of Object.keys(dependencies ?? {})) t.ok(used.has(name), name)
})

t.test('everything that is imported is a dependency or a peer', async t => {
  const declared = { ...dependencies, ...peerDependencies }
  for (const name of used) t.ok(name in declared, name)
})

t.test('every peer is also installed for the tests', async t => {
  for (const name of Object.keys(peerDependencies)) t.ok(name in (devDependencies ?? {}), name)
})

t.test('lib imports no plugin', async t => {
  const files = readdirSync(join(root, 'lib'), { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.ts'))
  for (const name of files) t.notMatch(readFileSync(join(root, 'lib', name), 'utf8'), /from '[./]+\/plugins\//, name)
})

t.test('nothing that is published imports a fixture', async t => {
  for (const folder of ['plugins', 'lib', 'testing', 'cli']) {
    const files = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.ts'))
    for (const name of files) t.notMatch(readFileSync(join(root, folder, name), 'utf8'), /from '[./]+\/(?:test|scripts)\//, name)
  }
})

t.test('folders of lib meet only through their index, without circles', async t => {
  const graph = new Map<string, Set<string>>()
  for (const name of readdirSync(join(root, 'lib'), { recursive: true, encoding: 'utf8' })) {
    const [folder = '', ...rest] = name.split('/')
    if (!name.endsWith('.ts') || rest.length === 0) continue
    const targets = graph.get(folder) ?? new Set()
    graph.set(folder, targets)
    for (const [, target = '', file = ''] of readFileSync(join(root, 'lib', name), 'utf8').matchAll(/from '\.\.\/([\w-]+)\/([^']+)'/g)) {
      t.equal(file, 'index.ts', `${name} imports ${target}/${file}`)
      targets.add(target)
    }
  }
  for (const folder of graph.keys()) t.notOk(reaches(graph, folder, folder, new Set()), `${folder} is in no circle`)
})

function reaches (graph: ReadonlyMap<string, ReadonlySet<string>>, from: string, target: string, seen: Set<string>): boolean {
  return [...graph.get(from) ?? []].some(next => next === target || (!seen.has(next) && reaches(graph, next, target, seen.add(next))))
}
