import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { Problems, readEnvironment, suggest } from '../lib/config/index.ts'
import { algorithms, type KeysLocation } from '../lib/keys/index.ts'
import { isDevelopmentIssuer, presets, validateIssuer } from '../lib/tokens/index.ts'
import { DevelopmentStore } from '../testing/development-store.ts'
import { parseArguments } from './arguments.ts'
import { UsageError, type Command, type Options, type Terminal } from './command.ts'
import { credentialFault } from './doctor/address.ts'
import { examineApi } from './doctor/api.ts'
import { examineEnvironment } from './doctor/environment.ts'
import type { Examination } from './doctor/finding.ts'
import { examineIssuer } from './doctor/issuer.ts'
import { examineRedis } from './doctor/redis.ts'
import { asJson, asText, hasErrors } from './doctor/report.ts'
import { readAll } from './doctor/stdin.ts'
import { examineToken, type TokenQuestion } from './doctor/token.ts'

const usage = `Looks at what an API depends on, or at the API itself, and says what is wrong and what to do.

Usage  secure-api doctor                  everything that the SECURE_API_ variables name
       secure-api doctor issuer <url>     metadata, keys, algorithms, clock, TLS of an identity provider
       secure-api doctor redis [<url>]    a Redis for shared limits; without an address SECURE_API_REDIS_URL
       secure-api doctor api <url>        a running API from outside; best the address of something that needs a token
       secure-api doctor token            a token on standard input: what it says, and which check fails

Options
  --json                   findings as JSON
  --key-prefix <text>      redis: rateLimit.keyPrefix of the API. Default: secure-api:
  --preset <name>          issuer, token: ${Object.keys(presets).join(', ')}
  --audience <name>        issuer, token: what the API calls itself; several times
  --origin <origin>        api: a web origin that should be allowed; several times
  --issuer <url>           token: the issuer that the API trusts. Default: SECURE_API_ISSUER, then the token's own
  --algorithms <names>     token: those that the API accepts, separated by commas
  --profile <at+jwt|any>   token: how strict the API is. Default: any
  --scope-claims <names>   token: where scopes stand, separated by commas
  --role-claims <names>    token: where roles stand, separated by commas
  --tenants <ids>          token: for an issuer with {tenantid}, separated by commas
  --jwks <file>            token: the key set to check the signature with
  --fetch-keys             token: ask the issuer for its keys

Examples
  secure-api doctor issuer https://login.example.com --audience api://orders
  secure-api doctor api https://api.example.com/orders --origin https://app.example.com
  secure-api token api.read | secure-api doctor token --audience api://development

A token is read from standard input, never from the arguments, which others can see. It is sent nowhere, and its
signature is never printed. The exit code is 1 when there is an error.
`

type Values = Readonly<Record<string, string | boolean | Array<string | boolean> | undefined>>

interface Subject {
  readonly options: Options
  /** How many addresses it takes. */
  readonly takes: readonly [least: number, most: number]
  examine (values: Values, positionals: readonly string[], terminal: Terminal): Promise<readonly Examination[]>
}

const profiles = ['at+jwt', 'any'] as const
const json = { json: { type: 'boolean' } } as const
const text = { type: 'string' } as const
const texts = { type: 'string', multiple: true } as const

const environment: Subject = {
  options: {},
  takes: [0, 0],
  examine: async (_values, _positionals, terminal) => await examineEnvironment(terminal)
}

const subjects: Readonly<Record<string, Subject>> = {
  issuer: {
    options: { preset: text, audience: texts },
    takes: [1, 1],
    examine: async ({ preset, audience }, [issuer = '']) =>
      [await examineIssuer({ issuer, ...given({ preset: presetName(preset), audience: listOf(audience) }) })]
  },
  redis: {
    options: { 'key-prefix': text },
    takes: [0, 1],
    examine: async ({ 'key-prefix': prefix }, [url], terminal) => [await examineRedis(url ?? redisOf(terminal), keyPrefix(prefix))]
  },
  api: {
    options: { origin: texts },
    takes: [1, 1],
    examine: async ({ origin }, [url = '']) => [await examineApi({ url: httpUrl(url), origins: listOf(origin) ?? [] })]
  },
  token: {
    options: {
      issuer: text,
      audience: texts,
      preset: text,
      algorithms: text,
      profile: text,
      tenants: text,
      'scope-claims': text,
      'role-claims': text,
      jwks: text,
      'fetch-keys': { type: 'boolean' }
    },
    takes: [0, 0],
    examine: async (values, _positionals, terminal) => [await examineToken(await tokenQuestion(values, terminal))]
  }
}

/** Which subjects take an option. */
const owners = Object.entries(subjects).reduce<Record<string, string[]>>((found, [subject, { options }]) => {
  for (const option of Object.keys(options)) (found[option] ??= []).push(`doctor ${subject}`)
  return found
}, {})

export const doctor: Command = {
  name: 'doctor',
  summary: 'looks at an issuer, a Redis, a running API or a token, and says what is wrong',
  usage,
  grammar: {
    options: json,
    subcommands: Object.fromEntries(Object.entries(subjects).map(([name, { options }]) => [name, { ...options, ...json }])),
    values: { preset: Object.keys(presets), profile: profiles, algorithms },
    paths: ['jwks']
  },
  async run (args, terminal) {
    const [name, subject] = subjectOf(args)
    const options: Options = { ...subject.options, ...json }
    const { values, positionals } = parseArguments(name === undefined ? args : args.slice(1), options, owners)
    checkCount(name, positionals, subject.takes)
    const examinations = await subject.examine(values, positionals, terminal)
    terminal.stdout.write(`${values.json === true ? asJson(examinations) : asText(examinations, terminal)}\n`)
    return hasErrors(examinations) ? 1 : 0
  }
}

function subjectOf ([first]: readonly string[]): readonly [name: string | undefined, subject: Subject] {
  if (first === undefined || first.startsWith('-')) return [undefined, environment]
  const subject = Object.hasOwn(subjects, first) ? subjects[first] : undefined
  if (subject !== undefined) return [first, subject]
  if (first.includes(':')) throw new UsageError('say what the address is: `doctor issuer`, `doctor redis` or `doctor api`')
  const meant = suggest(first, Object.keys(subjects))
  throw new UsageError(`unknown subject ${JSON.stringify(first)}${meant === undefined ? '' : `; did you mean \`${meant}\`?`}`)
}

function checkCount (name: string | undefined, { length }: readonly string[], [least, most]: Subject['takes']): void {
  if (length >= least && length <= most) return
  if (name === 'token') throw new UsageError('a token is read from standard input: others can see the arguments of a command')
  throw new UsageError(most === 0 ? 'too many addresses' : `${name} takes one address`)
}

async function tokenQuestion (values: Values, terminal: Terminal): Promise<TokenQuestion> {
  const { env } = terminal
  const configured = readEnvironment(new Problems(), { ...env })
  const expected = given({
    issuer: textOf(values.issuer) ?? configured.issuer,
    audience: listOf(values.audience) ?? split(configured.audience),
    preset: presetName(values.preset),
    algorithms: algorithmNames(values.algorithms),
    profile: profileName(values.profile),
    tenants: split(textOf(values.tenants)),
    scopeClaims: split(textOf(values['scope-claims'])),
    roleClaims: split(textOf(values['role-claims']))
  })
  const text = await readAll(terminal)
  checkExpected(expected)
  return { text, expected, keys: await keysFor(values, text, terminal), now: Date.now() }
}

/** Mistakes in what is expected are mistakes in the command. */
function checkExpected (expected: TokenQuestion['expected']): void {
  if (expected.issuer === undefined) return
  const problems = new Problems()
  validateIssuer({ audience: ['any'], ...expected, issuer: expected.issuer }, 'options', problems, { development: true })
  const [first] = problems.list()
  if (first !== undefined) throw new UsageError(`${first.path.replace('options.', '--')}: ${first.why}. ${first.fix}`)
}

/** Keys of the development issuer lie beside the project, so that nobody has to be asked. */
async function keysFor (values: Values, token: string, { cwd }: Terminal): Promise<KeysLocation | undefined> {
  const file = textOf(values.jwks)
  if (file !== undefined) return { jwks: await keySetIn(resolve(cwd, file)) }
  if (values['fetch-keys'] === true) return 'discovery'
  const key = isOfDevelopment(token) ? await new DevelopmentStore(cwd).existingKey() : undefined
  return key && { jwks: { keys: [key.publicJwk] } }
}

function isOfDevelopment (token: string): boolean {
  const payload = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()
  const [, issuer = ''] = /"iss":"([^"]*)"/.exec(payload) ?? []
  return isDevelopmentIssuer(issuer)
}

async function keySetIn (path: string): Promise<object> {
  const content = await readFile(path, 'utf8').catch(() => { throw new UsageError(`--jwks: ${path} cannot be read`) })
  try {
    const value: unknown = JSON.parse(content)
    if (typeof value === 'object' && value !== null) return value
  } catch {}
  throw new UsageError(`--jwks: ${path} does not contain a JSON object`)
}

function redisOf ({ env }: Terminal): string {
  const { redis } = readEnvironment(new Problems(), { ...env })
  if (redis === undefined) throw new UsageError('redis takes an address, or SECURE_API_REDIS_URL')
  return redis
}

/** The address stays out of the message: it may hold a password. */
function httpUrl (url: string): string {
  const fault = credentialFault(url)
  if (fault !== undefined) throw new UsageError(`this address cannot be read as it was meant. ${fault}`)
  if (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)) return url
  throw new UsageError('this is not an http or https URL; write https://api.example.com/orders')
}

function keyPrefix (value: Values[string]): string | undefined {
  const prefix = textOf(value)
  if (prefix === undefined || /^[\w:.-]{1,64}$/.test(prefix)) return prefix
  throw new UsageError('--key-prefix has 1 to 64 letters, digits, `:`, `.`, `_` or `-`')
}

function presetName (value: Values[string]) {
  return oneOf('--preset', Object.keys(presets) as Array<keyof typeof presets>, textOf(value))
}

function profileName (value: Values[string]) {
  return oneOf('--profile', profiles, textOf(value))
}

function algorithmNames (value: Values[string]) {
  return split(textOf(value))?.flatMap(name => oneOf('--algorithms', algorithms, name) ?? [])
}

function oneOf <Name extends string> (option: string, names: readonly Name[], given: string | undefined): Name | undefined {
  if (given === undefined) return undefined
  const found = names.find(name => name === given)
  if (found === undefined) throw new UsageError(`${option} is one of ${names.join(', ')}, not ${JSON.stringify(given)}`)
  return found
}

function textOf (value: Values[string]): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function listOf (value: Values[string]): string[] | undefined {
  return Array.isArray(value) ? value.filter(entry => typeof entry === 'string') : undefined
}

function split (value: string | undefined): string[] | undefined {
  return value?.split(',').map(part => part.trim()).filter(part => part !== '')
}

type Given<Members> = { [Name in keyof Members]?: Exclude<Members[Name], undefined> }

/** Without the members that were not given: under `exactOptionalPropertyTypes` undefined is a value. */
function given <Members extends object> (members: Members): Given<Members> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as Given<Members>
}
