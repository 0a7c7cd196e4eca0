import { resolve } from 'node:path'
import { createApiKey, type ApiKeyRecord } from '../lib/api-keys/index.ts'
import { suggest } from '../lib/config/index.ts'
import { parseArguments } from './arguments.ts'
import { UsageError, type Command, type Terminal } from './command.ts'
import { readAll } from './doctor/stdin.ts'
import { checkKey } from './key/check.ts'
import { editKeyFile, recordsIn } from './key/file.ts'
import { checkRecord, describedBy, fileOf, options, overlapOf, prefixOf, recordNamed, refuseKey, timeOf } from './key/request.ts'
import { shown, summary, table } from './key/show.ts'
import { painter } from './terminal.ts'

const usage = `Makes and looks after API keys for machine clients: the records of \`auth.apiKeys\`.

Usage  secure-api key create --prefix <prefix> [options]
       secure-api key rotate <id> --prefix <prefix> --file <file> [--overlap <time>] [--expires <when>] [--json]
       secure-api key revoke <id> --file <file>
       secure-api key list --file <file> [--json]
       secure-api key check [--prefix <prefix>] [--file <file>]

Options
  --prefix <prefix>     what every key begins with: \`auth.apiKeys.prefix\` of the application
  --file <file>         the JSON file with the records: \`auth.apiKeys.file\`. create makes it, readable for its owner
                        only; without it the record is printed, to be pasted or stored
  --json                create, rotate: the key and its record as JSON, for a script that stores them; list: all but hashes
Options of create
  --scope, -s <scope>   a scope; several times
  --role, -r <role>     a role; several times
  --owner <name>        whose key it is: the subject of requests, and who shares limits. Default: each key for itself
  --name <text>         what it is for
  --expires <when>      90d, 12h, 2027-01-31 or 2027-01-31T12:00:00Z. Default: never
  --allow <network>     where it may be used: 203.0.113.7 or 203.0.113.0/24; several times. Default: everywhere
Options of rotate
  --overlap <time>      how long the old secret still works; 0 ends it at once. Default: 7d
  --expires <when>      another end of the key

Examples
  secure-api key create --prefix shop --scope orders.read --owner acme --expires 90d --file keys.json
  secure-api key create --prefix shop --scope orders.read --file keys.json | wl-copy
  secure-api key rotate Q1w2E3r4T5y6 --prefix shop --overlap 7d --file keys.json
  secure-api key revoke Q1w2E3r4T5y6 --file keys.json
  secure-api key check --file keys.json < key.txt

Only the key goes to standard output, once: the record keeps a SHA-256 hash. check reads the key from standard input,
never from an argument, and exits with 1 where the key would be refused. The beginning of an id is enough.
`

type Subcommand = (args: readonly string[], terminal: Terminal) => Promise<number>

/** Makes and looks after API keys. */
export const key: Command = {
  name: 'key',
  summary: 'makes, rotates, revokes, lists and checks API keys',
  usage,
  grammar: { options: {}, subcommands: options, paths: ['file'] },
  async run ([name = '', ...args], terminal) {
    const run = Object.hasOwn(subcommands, name) ? subcommands[name] : undefined
    if (run === undefined) throw unknown(name)
    return await run(args, terminal)
  }
}

function unknown (name: string): UsageError {
  refuseKey(name)
  const names = Object.keys(subcommands)
  const meant = suggest(name, names)
  return new UsageError(`say what to do: ${names.join(', ')}${meant === undefined ? '' : `; did you mean ${meant}?`}`)
}

const create: Subcommand = async (args, terminal) => {
  const { values } = read('create', args, 0)
  const [prefix, now] = [prefixOf(values.prefix), Date.now()]
  const { key, id, hash } = createApiKey(prefix)
  const record = checkRecord({ id, ...describedBy(values, now), secrets: [{ hash }] })
  if (values.file !== undefined) {
    await editKeyFile(resolve(terminal.cwd, fileOf(values.file)), records => [[...records, record], undefined], { make: true })
  }
  say(terminal, summary(record, now))
  tell({ key, record }, values, terminal)
  return 0
}

const rotate: Subcommand = async (args, terminal) => {
  const { values, argument } = read('rotate', args, 1)
  const [prefix, file, now] = [prefixOf(values.prefix), resolve(terminal.cwd, fileOf(values.file)), Date.now()]
  const [overlap, expires] = [overlapOf(values.overlap), values.expires === undefined ? undefined : timeOf(values.expires, now)]
  const made = await editKeyFile(file, records => {
    const old = recordNamed(argument, records)
    const { key, hash } = createApiKey(prefix, old.id)
    const renewed = { ...old, ...(expires !== undefined && { expires }) }
    refuseDead(renewed, now)
    const record = checkRecord({ ...renewed, secrets: [{ hash }, ...ending(old, overlap, now)] })
    return [records.map(one => one === old ? record : one), { key, record }]
  })
  say(terminal, summary(made.record, now))
  tell(made, values, terminal)
  return 0
}

function refuseDead (record: ApiKeyRecord, now: number): void {
  const { id, revoked, expires } = record
  if (revoked !== undefined) throw new UsageError(`${id} was revoked ${revoked}; make another key`)
  if (expires !== undefined && Date.parse(expires) <= now) throw new UsageError(`${id} expired ${expires}; give --expires too`)
}

/** The secrets that go on for a while. A record has two at most, and a caller that is moving must not lose its own. */
function ending ({ id, secrets }: ApiKeyRecord, overlap: number, now: number): ApiKeyRecord['secrets'] {
  if (overlap === 0) return []
  const alive = secrets.filter(({ expires }) => expires === undefined || Date.parse(expires) > now)
  const [until] = alive.flatMap(({ expires }) => alive.length > 1 ? expires ?? [] : [])
  if (until !== undefined) {
    throw new UsageError(`${id} is being rotated: its old secret works until ${until}. Wait for that, or end all old ones with --overlap 0`)
  }
  const end = now + overlap
  return alive.map(({ hash, expires }) => ({ hash, expires: new Date(Math.min(end, Date.parse(expires ?? '') || end)).toISOString() }))
}

const revoke: Subcommand = async (args, terminal) => {
  const { values, argument } = read('revoke', args, 1)
  const now = Date.now()
  const said = await editKeyFile(resolve(terminal.cwd, fileOf(values.file)), records => {
    const record = recordNamed(argument, records)
    if (record.revoked !== undefined) return [records, `${record.id} was revoked already, ${record.revoked}`]
    const revoked = { ...record, revoked: new Date(now).toISOString() }
    return [records.map(one => one === record ? revoked : one), summary(revoked, now)]
  })
  say(terminal, said)
  return 0
}

const list: Subcommand = async (args, terminal) => {
  const { values } = read('list', args, 0)
  const [records, now] = [recordsIn(resolve(terminal.cwd, fileOf(values.file))), Date.now()]
  if (values.json === true) print(terminal, JSON.stringify(records.map(record => shown(record, now)), undefined, 2))
  else if (records.length === 0) say(terminal, 'there are no keys; `secure-api key create` makes one')
  else print(terminal, table(records, now, terminal))
  return 0
}

const check: Subcommand = async (args, terminal) => {
  const { values: { prefix, file } } = read('check', args, 0)
  const records = file === undefined ? undefined : recordsIn(resolve(terminal.cwd, fileOf(file)))
  const expected = { prefix: prefix === undefined ? undefined : prefixOf(prefix), records, now: Date.now() }
  const { good, lines } = checkKey((await readAll(terminal, 'key')).trim(), expected)
  print(terminal, [...lines, good ? 'good' : 'refused'].join('\n'))
  return good ? 0 : 1
}

const subcommands: Readonly<Record<string, Subcommand>> = { create, rotate, revoke, list, check }

/** The options of a subcommand, and its one argument where it takes one. What is too much is not repeated: it may be a key. */
function read <const Name extends keyof typeof options> (name: Name, args: readonly string[], takes: 0 | 1) {
  const { values, positionals } = parseArguments(args, options[name], elsewhere)
  for (const given of [...positionals, ...Object.values(values).flat()]) if (typeof given === 'string') refuseKey(given)
  if (name === 'check' && positionals.length > 0) {
    throw new UsageError('a key is read from standard input: others can see the arguments of a command')
  }
  if (positionals.length !== takes) {
    throw new UsageError(`${name} takes ${takes === 0 ? 'options only' : 'one id, or the beginning of one'}`)
  }
  return { values, argument: positionals[0] ?? '' }
}

const names = Object.keys(options) as (keyof typeof options)[]
/** Which subcommands take an option. */
const elsewhere = Object.fromEntries([...new Set(names.flatMap(name => Object.keys(options[name])))]
  .map(option => [option, names.filter(name => Object.hasOwn(options[name], option)).map(name => `key ${name}`)]))

interface Made {
  readonly key: string
  readonly record: ApiKeyRecord
}

interface Output {
  readonly json?: boolean | undefined
  readonly file?: string | undefined
}

/** The key, for this once. */
function tell (made: Made, { json, file }: Output, terminal: Terminal): void {
  if (json === true) return print(terminal, JSON.stringify(made, undefined, 2))
  if (file === undefined) {
    say(terminal, 'The record, for "keys" of a file or `auth.apiKeys.keys`:')
    terminal.stderr.write(`${JSON.stringify(made.record)}\n`)
  }
  say(terminal, 'The key is shown this once:')
  print(terminal, made.key)
}

function print ({ stdout }: Terminal, text: string): void {
  stdout.write(`${text}\n`)
}

/** For people, beside what a script reads. */
function say (terminal: Terminal, text: string): void {
  terminal.stderr.write(`${painter(terminal)('dim', text)}\n`)
}
