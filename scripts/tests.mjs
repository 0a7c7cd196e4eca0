import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * Runs all tests. A process of tap takes a second of processor time before its first assertion, mostly to load the suite, so short files
 * of one folder share one, in which they run one after the other. `npx tap run FILE` runs one alone.
 */
const root = new URL('..', import.meta.url)
const groups = new URL('.build/groups/', root)

/** How many files share a process. */
const most = folder => folder.startsWith('test/lib/') ? 20 : folder === 'test/plugins' ? 4 : 1
/**
 * What looks at the whole process, what waits long, what has the folder that tap gives to a process, and what tears down for all of it: tap
 * then ends the process when it is idle, and would leave out the files behind.
 */
const isAlone = file => ['test/plugins/start.test.ts', 'test/lib/limits/sentinel.test.ts'].includes(file) ||
  /^(?:const .*\bt\.testdir|t\.(?:teardown|after))\(/m.test(readFileSync(new URL(file, root), 'utf8'))

const files = readdirSync(new URL('test', root), { recursive: true, encoding: 'utf8' })
  .map(name => `test/${name.replaceAll('\\', '/')}`).filter(name => name.endsWith('.test.ts')).sort()
rmSync(groups, { recursive: true, force: true })
mkdirSync(groups, { recursive: true })
const alone = files.filter(isAlone)
const others = files.filter(file => !alone.includes(file))
const programs = [...alone, ...[...new Set(others.map(dirname))].flatMap(folder =>
  inParts(others.filter(file => dirname(file) === folder), most(folder)).map(programOf))]
const tap = fileURLToPath(new URL('node_modules/tap/dist/esm/run.mjs', root))
process.exitCode = spawnSync(process.execPath, [tap, ...programs], { cwd: fileURLToPath(root), stdio: 'inherit' }).status ?? 1

function inParts (names, size) {
  return Array.from({ length: Math.ceil(names.length / size) }, (_, part) => names.slice(part * size, (part + 1) * size))
}

function programOf (names) {
  const [first] = names
  if (names.length === 1) return first
  const program = `.build/groups/${first.replace('.test.ts', '').replaceAll('/', '-')}-and-${names.length - 1}-more.test.ts`
  // One after the other, also where a file waits before its first test.
  writeFileSync(new URL(program, root), `${names.map(name => `await import('../../${name}')`).join('\n')}\nexport {}\n`)
  return program
}
