import { resolve } from 'node:path'
import { environmentOf, ProblemError } from '../lib/config/index.ts'
import { DevelopmentStore } from '../testing/development-store.ts'
import { parseArguments } from './arguments.ts'
import { UsageError, type Command, type Options, type Terminal } from './command.ts'
import { painter } from './terminal.ts'
import { audienceFor } from './token/audience.ts'
import { makeToken } from './token/make.ts'
import { TokenRecords } from './token/records.ts'
import { kinds, options, outputs, readRequest } from './token/request.ts'
import { summary, table, written } from './token/show.ts'

const usage = `Makes access tokens for an application on this machine that uses developmentIssuer().

Usage  secure-api token [create] [scope...] [options]
       secure-api token list [--json]
       secure-api token print <id>
       secure-api token remove <id>
       secure-api token clear
       secure-api token keys [rotate]

Options of create
  --scope, -s <scope>      a scope; may be given several times, or stand without the option
  --role, -r <role>        a role; several times
  --audience, -a <name>    who the token is for; several times. Default: SECURE_API_AUDIENCE of the
                           environment or of .env, then what the application used last
  --subject <name>         the user, or with --kind service the client. Default: dev-user, dev-service
  --kind <user|service>    who calls: a user through a client, or a client for itself. Default: user
  --lifetime, -l <time>    such as '1 hour', '30 minutes', '90s', up to 366 days. Default: 1 hour
  --claim, -c <name=text>  another claim; name:=json for numbers, lists and objects; several times
  --output, -o <form>      token, header (a line for curl -H) or json. Default: token
  --directory <folder>     the project's folder, for every subcommand. Default: the working directory

Examples
  secure-api token api.read api.write --role admin
  secure-api token --kind service --subject nightly --lifetime '10 minutes' api.read
  curl -H "Authorization: Bearer $(secure-api token api.read)" http://localhost:3000/orders

Only the token goes to standard output. The key lies in .secure-api/key.pem of the project, which git ignores. Of the
tokens only the claims are kept, never a token that could be used. remove and clear forget them; the tokens work until
they end, or until \`keys rotate\` and a new start of the application. Refused when NODE_ENV is production.
`

interface Project {
  readonly directory: string
  readonly store: DevelopmentStore
  readonly records: TokenRecords
  readonly terminal: Terminal
}

type Subcommand = (args: readonly string[], terminal: Terminal) => Promise<void>

export const token: Command = {
  name: 'token',
  summary: 'makes access tokens for development',
  usage,
  grammar: {
    options,
    get subcommands () {
      const others = Object.keys(subcommands).map(name => [name, directoryOption] as const)
      return { ...Object.fromEntries(others), create: options, list: listOptions }
    },
    values: { kind: kinds, output: outputs },
    paths: ['directory']
  },
  async run (args, terminal) {
    refuseInProduction(terminal)
    const [first = ''] = args
    const named = Object.hasOwn(subcommands, first) ? subcommands[first] : undefined
    await (named === undefined ? create(args, terminal) : named(args.slice(1), terminal))
    return 0
  }
}

/** Where NODE_ENV is not set this still works: the key is of this folder, and no server in production trusts it. */
function refuseInProduction ({ env }: Terminal): void {
  if (env['NODE_ENV'] === undefined || environmentOf(undefined, env) === 'development') return
  throw new ProblemError({
    code: 'SECURE_API_ISSUER_DEVELOPMENT',
    path: 'NODE_ENV',
    why: 'development tokens are not made in production',
    fix: 'Get a token from your provider; on your own machine set NODE_ENV=development.'
  })
}

const create: Subcommand = async (args, terminal) => {
  const request = readRequest(args)
  const { directory, store, records } = projectOf(request.directory, terminal)
  const audience = request.audience ?? await audienceFor(directory, store, terminal)
  const made = makeToken(request, single(audience), await store.key(), Date.now())
  await forgetExpired(records)
  await records.add(made.record)
  say(terminal, summary(made.record))
  print(terminal, written[request.output](made))
}

const list: Subcommand = async (args, terminal) => {
  const { directory, json = false } = takesNothing(args, listOptions)
  const { records, store } = projectOf(directory, terminal)
  const found = await records.list()
  if (json) return print(terminal, JSON.stringify(found, undefined, 2))
  if (found.length === 0) return say(terminal, 'there are no tokens; make one with `secure-api token api.read`')
  const { kid } = await store.key()
  print(terminal, table({ records: found, currentKid: kid, now: Date.now() }, terminal))
}

const printOne: Subcommand = async (args, terminal) => {
  const { records, argument } = withArgument(args, terminal, 'print')
  const { id, kid, kind, claims } = await records.find(argument)
  print(terminal, JSON.stringify({ id, kid, kind, claims }, undefined, 2))
}

const remove: Subcommand = async (args, terminal) => {
  const { records, argument } = withArgument(args, terminal, 'remove')
  const record = await records.find(argument)
  await records.remove([record])
  say(terminal, `forgotten; it works ${summary(record).split(', ').at(-1)}, or until \`secure-api token keys rotate\``)
}

const clear: Subcommand = async (args, terminal) => {
  const { records } = withoutArgument(args, terminal)
  const found = await records.list()
  await records.remove(found)
  say(terminal, `${found.length} forgotten; they work until they end, or until \`secure-api token keys rotate\``)
}

const keys: Subcommand = async ([first, ...rest], terminal) => {
  if (first === 'rotate') return await rotate(rest, terminal)
  const { store } = withoutArgument(first === undefined ? [] : [first, ...rest], terminal)
  const { publicJwk } = await store.key()
  print(terminal, JSON.stringify({ keys: [publicJwk] }, undefined, 2))
}

const rotate: Subcommand = async (args, terminal) => {
  const { store } = withoutArgument(args, terminal)
  const { kid } = await store.rotate()
  say(terminal, `the key is ${kid} now; start the application again, and the tokens made before have ended`)
}

const subcommands: Readonly<Record<string, Subcommand>> = { create, list, print: printOne, remove, clear, keys }

const directoryOption = { directory: { type: 'string' } } as const
const listOptions = { ...directoryOption, json: { type: 'boolean' } } as const

function withArgument (args: readonly string[], terminal: Terminal, name: string): Project & { readonly argument: string } {
  const { values, positionals } = parseArguments(args, directoryOption)
  const [argument] = positionals
  if (argument === undefined || positionals.length > 1) throw new UsageError(`${name} takes one id, or the beginning of one`)
  return { ...projectOf(values.directory, terminal), argument }
}

function withoutArgument (args: readonly string[], terminal: Terminal): Project {
  const { directory } = takesNothing(args, directoryOption)
  return projectOf(directory, terminal)
}

function takesNothing <const Own extends Options> (args: readonly string[], options: Own) {
  const { values, positionals: [first] } = parseArguments(args, options)
  if (first !== undefined) throw new UsageError(`${JSON.stringify(first)} is one word too many`)
  return values
}

function projectOf (given: string | undefined, terminal: Terminal): Project {
  const directory = resolve(terminal.cwd, given ?? '.')
  const store = new DevelopmentStore(directory)
  return { directory, store, records: new TokenRecords(store), terminal }
}

/** The list is for tokens in use: a script that makes one for each run must not fill the folder. */
async function forgetExpired (records: TokenRecords): Promise<void> {
  const now = Date.now() / 1000
  const expired = (await records.list()).filter(({ expiresAt }) => expiresAt <= now)
  await records.remove(expired)
}

function single (audience: string | readonly string[]): string | readonly string[] {
  return Array.isArray(audience) && audience.length === 1 ? String(audience[0]) : audience
}

function print ({ stdout }: Terminal, text: string): void {
  stdout.write(`${text}\n`)
}

/** For people, beside what a script reads. */
function say (terminal: Terminal, text: string): void {
  terminal.stderr.write(`${painter(terminal)('dim', text)}\n`)
}
