import { relative, resolve } from 'node:path'
import { UsageError, type Command, type Terminal } from './command.ts'
import { ask } from './generate/ask.ts'
import { applicationFiles } from './generate/files.ts'
import { install } from './generate/install.ts'
import { originOf, packageRoot } from './generate/origin.ts'
import { packageManagers } from './generate/package-managers.ts'
import { complete, grammar, readArguments, type Request } from './generate/request.ts'
import { checkFolder, writeFiles } from './generate/write.ts'
import { painter } from './terminal.ts'

const usage = `Usage  secure-api generate <folder> [options]

Writes an application for \`fastify start\`: routes with their rules, a login, tests, a Dockerfile and a workflow.
It needs no network itself; installing the dependencies does. On a terminal, without a folder, it asks.

Options
  --lang ts|js                    TypeScript or JavaScript (ts)
  --package-manager npm|pnpm|yarn  (the one that started this command, or npm)
  --name NAME                     name of the package (made from the folder's)
  --auth token|api-key            what callers bring: tokens, or API keys beside them; keys alone where no issuer is set
  --redis                         limits that all processes share: ioredis, and SECURE_API_REDIS_URL in production
  --openapi                       GET /openapi.json: @fastify/swagger, with the rules of the routes
  --no-install                    leave the installation of the dependencies to you
  --force                         also into a folder that is not empty: files of the same names are replaced

Examples
  secure-api generate my-api
  secure-api generate . --lang js --no-install
  secure-api generate feed --auth api-key
  secure-api generate orders --redis --openapi --package-manager pnpm
`

/** Writes an application into a new folder. */
export const generate: Command = {
  name: 'generate',
  summary: 'writes an application for `fastify start`',
  usage,
  grammar,
  async run (args, terminal) {
    const request = await requestOf(args, terminal)
    const folder = resolve(terminal.cwd, request.folder)
    await checkFolder(folder, request.force)
    const files = applicationFiles(packageRoot(), request)
    await writeFiles(folder, files)
    terminal.stdout.write(`${files.size} files in ${relative(terminal.cwd, folder) || '.'}\n`)
    const installed = request.install && await installInto(folder, request, terminal)
    terminal.stdout.write(nextSteps(folder, request, installed, terminal))
    return request.install && !installed ? 1 : 0
  }
}

async function requestOf (args: readonly string[], terminal: Terminal): Promise<Request> {
  const wishes = readArguments(args)
  const { folder } = wishes
  if (folder !== undefined) return complete({ ...wishes, folder: resolve(terminal.cwd, folder) }, terminal.env)
  if (!terminal.interactive) throw new UsageError('name a folder, such as `secure-api generate my-api`')
  const asked = await ask(wishes, terminal)
  return complete({ ...asked, folder: resolve(terminal.cwd, asked.folder) }, terminal.env)
}

async function installInto (folder: string, { packageManager }: Request, terminal: Terminal): Promise<boolean> {
  const { install: command } = packageManagers[packageManager]
  terminal.stdout.write(`${command} ...\n`)
  const installed = await install(command, folder, terminal)
  if (!installed) terminal.stderr.write(`${painter(terminal)('red', 'secure-api:')} ${command} failed; the files are there\n`)
  return installed
}

/** As a shell reads it, where the path has blanks or other characters that mean something there. */
function quoted (path: string): string {
  if (/^[\w./\\:@+~-]+$/.test(path)) return path
  return process.platform === 'win32' ? `"${path}"` : `'${path.replaceAll("'", "'\\''")}'`
}

/** What to type next, which is what the README of the application begins with. */
function nextSteps (folder: string, { packageManager }: Request, installed: boolean, terminal: Terminal): string {
  const paint = painter(terminal)
  const manager = packageManagers[packageManager]
  const path = relative(terminal.cwd, folder)
  const steps = [
    path === '' ? undefined : `cd ${quoted(path)}`,
    installed ? undefined : manager.install,
    `${manager.run} try`,
    `${manager.run} dev`
  ].filter(step => step !== undefined)
  const local = originOf(packageRoot()).local
    ? 'It depends on the fastify-secure-api of this machine: change that in package.json before others build it.\n'
    : ''
  return `${local}\nNext:\n\n${steps.map(step => `  ${paint('cyan', step)}\n`).join('')}`
}
