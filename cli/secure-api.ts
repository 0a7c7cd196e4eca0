import { createRequire } from 'node:module'
import { suggest } from '../lib/config/index.ts'
import { UsageError, type Command, type Terminal } from './command.ts'
import { painter } from './terminal.ts'

/** Each command's module is loaded when it is asked for: `routes` alone needs an application beside it. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  generate: async () => (await import('./generate.ts')).generate,
  init: async () => (await import('./init.ts')).init,
  routes: async () => (await import('./routes.ts')).routes,
  token: async () => (await import('./token.ts')).token,
  secrets: async () => (await import('./secrets.ts')).secrets,
  key: async () => (await import('./key.ts')).key,
  audit: async () => (await import('./audit.ts')).audit,
  doctor: async () => (await import('./doctor.ts')).doctor,
  completion: async () => (await import('./completion.ts')).completion
}

export const exitCodes = Object.freeze({ done: 0, failed: 1, usage: 2 })

/**
 * The command `secure-api`.
 * @returns the exit code: 0 done, 1 findings or failure, 2 wrong usage
 */
export async function secureApiCommand (args: readonly string[], terminal: Terminal): Promise<number> {
  try {
    return await dispatch(args, terminal)
  } catch (error) {
    return report(error, terminal)
  }
}

async function dispatch ([name, ...args]: readonly string[], terminal: Terminal): Promise<number> {
  if (name === undefined) return await printHelp(terminal.stderr, terminal, exitCodes.usage)
  if (name === '--version' || name === '-v') return print(terminal.stdout, version())
  if (name === '--help' || name === '-h') return await printHelp(terminal.stdout, terminal, exitCodes.done)
  if (name === 'help') {
    return args[0] === undefined
      ? await printHelp(terminal.stdout, terminal, exitCodes.done)
      : await printUsage(args[0],
        terminal)
  }
  return asksForHelp(args) ? await printUsage(name, terminal) : await runCommand(name, args, terminal)
}

/** Whatever follows `--` belongs to somebody else. */
function asksForHelp (args: readonly string[]): boolean {
  const end = args.indexOf('--')
  return (end === -1 ? args : args.slice(0, end)).some(arg => arg === '--help' || arg === '-h')
}

async function runCommand (name: string, args: readonly string[], terminal: Terminal): Promise<number> {
  const command = await load(name)
  try {
    return await command.run(args, terminal, loadAll)
  } catch (error) {
    throw isUsage(error) ? new UsageError(`${name}: ${error.message}\nTry: secure-api ${name} --help`) : error
  }
}

async function load (name: string): Promise<Command> {
  const find = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (find !== undefined) return await find()
  const what = name.startsWith('-') ? 'option' : 'command'
  const meant = suggest(name, Object.keys(commands))
  const hint = meant === undefined ? '' : `; did you mean \`${meant}\`?`
  // An address may hold a password.
  throw new UsageError(`there is no ${what}${name.includes('://') ? '' : ` ${JSON.stringify(name)}`}${hint}\nTry: secure-api --help`)
}

/** What `parseArgs` throws is a mistake in the arguments too. */
function isUsage (error: unknown): error is Error {
  return error instanceof UsageError || (error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS_'))
}

async function loadAll (): Promise<Command[]> {
  return await Promise.all(Object.values(commands).map(async find => await find()))
}

const exitCodesText = 'Exit code  0 all is well, 1 there are findings or something failed, 2 the command was called wrongly'

async function printUsage (name: string, { stdout }: Terminal): Promise<number> {
  const { usage } = await load(name)
  return print(stdout, `${usage.trimEnd()}\n\n${exitCodesText}`)
}

async function printHelp (stream: Terminal['stdout'], terminal: Terminal, exitCode: number): Promise<number> {
  const paint = painter(terminal)
  const loaded = await loadAll()
  const width = Math.max(...loaded.map(({ name }) => name.length))
  const lines = loaded.map(({ name, summary }) => `  ${paint('cyan', name.padEnd(width))}  ${summary}`)
  print(stream, [
    `${paint('bold', 'secure-api')} ${version()}: secure by default for Fastify`,
    '',
    `${paint('bold', 'Usage')}  secure-api <command> [options]`,
    '',
    paint('bold', 'Commands'),
    ...lines,
    '',
    paint('bold', 'Examples'),
    '  secure-api generate my-api',
    '  secure-api routes src/app.ts --check',
    '  secure-api doctor issuer https://login.example.com',
    '',
    'secure-api <command> --help says more about one. --version prints the version.',
    exitCodesText
  ].join('\n'))
  return exitCode
}

function print (stream: Terminal['stdout'], text: string): number {
  stream.write(`${text}\n`)
  return exitCodes.done
}

/** Found by the package's own name: this file lies one folder deeper once it is compiled. */
function version (): string {
  const { version } = createRequire(import.meta.url)('fastify-secure-api/package.json') as { version: string }
  return version
}

/** In the one voice of all commands, a plain line for people; the stack is for whoever sets DEBUG. */
function report (error: unknown, terminal: Terminal): number {
  const { message, stack = message } = error instanceof Error ? error : new Error(String(error))
  const text = terminal.env['DEBUG'] ? stack : message
  terminal.stderr.write(`${painter(terminal)('red', 'secure-api:')} ${text}\n`)
  return isUsage(error) ? exitCodes.usage : exitCodes.failed
}
