import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import type { Terminal } from '../../cli/command.ts'
import { loadApplication } from '../../cli/routes/load.ts'
import { secureApiCommand } from '../../cli/secure-api.ts'
import { fakeTerminal } from './terminal.ts'

const fixtures = fileURLToPath(new URL('fixtures/init', import.meta.url))
export const root = fileURLToPath(new URL('../..', import.meta.url))
const source = new URL('../../plugins/index.ts', import.meta.url).href

/** A folder inside the repository, so that its packages are found, with this suite among them. */
export function applicationFolder (t: Test, files: Readonly<Record<string, string>> = {}, suite = source): string {
  mkdirSync(join(root, '.build'), { recursive: true })
  const folder = mkdtempSync(join(root, '.build/init-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const installed = join(folder, 'node_modules/fastify-secure-api')
  mkdirSync(installed, { recursive: true })
  writeFileSync(join(installed, 'package.json'), '{ "name": "fastify-secure-api", "type": "module", "main": "./index.js" }')
  writeFileSync(join(installed, 'index.js'),
    `export * from '${suite}'\nexport { default, default as 'module.exports' } from '${suite}'\n`)
  // Without one of its own, `fastify-secure-api` would be the package around it.
  const all = { 'package.json': '{ "type": "module" }', ...files }
  for (const [name, text] of Object.entries(all)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  return folder
}

/** A copy of a fixture. */
export function copied (t: Test, name: string, suite?: string): string {
  const folder = applicationFolder(t, {}, suite)
  cpSync(join(fixtures, name), folder, { recursive: true })
  return folder
}

export async function run (folder: string, args: readonly string[], given: Partial<Terminal> = {}) {
  const fake = fakeTerminal({ cwd: folder, ...given })
  const code = await secureApiCommand(args, fake.terminal)
  return { code, stdout: fake.stdout(), stderr: fake.stderr() }
}

/** `secure-api init`, with the arguments that follow. */
export async function init (folder: string, ...args: string[]) {
  return await run(folder, ['init', ...args])
}

export async function started (t: Test, folder: string): Promise<FastifyInstance> {
  const app = await loadApplication({ file: join(folder, 'app.js'), options: true })
  t.teardown(() => app.close())
  await app.ready()
  return app
}
