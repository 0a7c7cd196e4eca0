import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import type typescript from 'typescript'
import { bundle } from '../../scripts/bundle.ts'

const require = createRequire(import.meta.url)
const root = fileURLToPath(new URL('../..', import.meta.url))
const kept = join(root, '.build/compiled')

export interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface CompiledCommand {
  /** Holds what is published, and the applications of the fixtures in `test/cli/fixtures`. */
  readonly folder: string
  /** The executable file. */
  readonly main: string
  /** Runs the command in a folder of its choice, with no environment but this and a PATH. */
  run (args: readonly string[], cwd: string, env?: Readonly<Record<string, string>>): Promise<Ended>
}

/**
 * Everything that is published, bundled as the build does it, in a folder of its own. The loader of the tests has no part in it. It lies
 * inside the repository, so that packages are found as from `dist`. The fixtures are compiled file by file, each once for all tests.
 */
export function compiled (t: Pick<Test, 'teardown'>): string {
  mkdirSync(kept, { recursive: true })
  const folder = mkdtempSync(join(root, '.build/command-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  bundle(folder)
  transpile('test/cli/fixtures', folder)
  return folder
}

/** The real command, compiled. */
export function compiledCommand (t: Pick<Test, 'teardown'>): CompiledCommand {
  const folder = compiled(t)
  const main = join(folder, 'cli/main.js')
  return { folder, main, run: async (args, cwd, env = {}) => await run([main, ...args], cwd, env) }
}

const own = { module: 'esnext', moduleResolution: 'bundler', allowImportingTsExtensions: false, noEmit: false, inlineSourceMap: true }
/** All that decides what comes of a source. */
const settings = [require('typescript/package.json').version, JSON.stringify(own), readFileSync(join(root, 'tsconfig.json'), 'utf8')]

function javaScript (source: string, fileName: string): string {
  const file = join(kept, `${createHash('sha256').update([...settings, fileName, source].join('\n')).digest('hex')}.js`)
  try {
    return readFileSync(file, 'utf8')
  } catch {
    const text = compile(source, fileName)
    const unfinished = `${file}.${process.pid}`
    writeFileSync(unfinished, text)
    renameSync(unfinished, file)
    return text
  }
}

/** The compiler is loaded only when something has changed. */
function compile (source: string, fileName: string): string {
  const ts = require('typescript') as typeof typescript
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile) as { config: { compilerOptions: object } }
  const compilerOptions = ts.convertCompilerOptionsFromJson({ ...config.compilerOptions, ...own }, root).options
  return ts.transpileModule(source, { compilerOptions, fileName }).outputText
}

async function run (args: readonly string[], cwd: string, env: Readonly<Record<string, string>>): Promise<Ended> {
  const child = spawn(process.execPath, args, { cwd, env: { PATH: process.env['PATH'], ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  return { code: Number(code), stdout, stderr }
}

function transpile (part: string, folder: string): void {
  for (const name of readdirSync(join(root, part), { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ts')) continue
    const output = join(folder, part, name.replace(/\.ts$/, '.js'))
    mkdirSync(dirname(output), { recursive: true })
    writeFileSync(output, javaScript(readFileSync(join(root, part, name), 'utf8'), basename(name)))
  }
}
