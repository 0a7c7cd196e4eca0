import { constants, readFileSync, statSync, type Stats } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { isFromEnvironment } from './literal.ts'
import type { SecretPlace, SecretProvider } from './source.ts'

/** One look at a secret. Times are milliseconds since the epoch. */
export interface Reading {
  readonly text: string
  readonly version?: string | undefined
  readonly created?: number | undefined
  readonly expires?: number | undefined
  /** Which file it was: another one after a rename, the same when it is written in place. */
  readonly inode?: string
}

/** Why a secret could not be read. The message is safe to show: nothing of the value, nothing of what a provider says. */
export class SecretFailure extends Error {
  override readonly name = 'SecretFailure'
}

/** In bytes. The longest real ones are RSA keys of 3 KB. */
const LARGEST = 65_536

export function labelOf (place: SecretPlace): string {
  if ('env' in place) return `env ${place.env}`
  return 'file' in place ? `file ${place.file}` : `provider ${place.provider.name}: ${place.name}`
}

const valueForName = 'its name is the value of a variable: write { env: \'NAME\' }, not { env: process.env.NAME }'

/** `{ env: process.env.NAME }`: what names no secret may be one, and must not be shown. A path from the environment is none. */
export function isSecretItself (place: Pick<Extract<SecretPlace, { env: string }>, 'env'> | SecretPlace): boolean {
  if ('provider' in place) return false
  const named = 'env' in place ? place.env : place.file
  return named.includes('-----') || (!/^(?:\.{0,2}\/|[A-Za-z]:)/.test(named) && isFromEnvironment(named))
}

/** Rejects with {@link SecretFailure}, or with whatever a provider throws. */
export async function readPlace (place: SecretPlace, signal: AbortSignal, now: number): Promise<Reading> {
  if ('env' in place) return readVariable(place.env, now)
  return 'file' in place ? await readSecretFile(place.file, signal, now) : await ask(place.provider, place.name, signal, now)
}

/** The same at once, for what must not wait. Throws {@link SecretFailure}. */
export function readNow (given: { readonly env: string } | { readonly file: string }): string {
  // Without what a polluted prototype says.
  const place: typeof given = Object.assign(Object.create(null), given)
  if ('env' in place) return readVariable(place.env, Date.now()).text
  return attempt(() => {
    checkFile(statSync(place.file))
    return clean(readFileSync(place.file, 'utf8'))
  })
}

function readVariable (name: string, now: number): Reading {
  // Own members only: `process.env` inherits from `Object.prototype`.
  const own = (name: string) => Object.hasOwn(process.env, name) ? process.env[name] : undefined
  const [value, created] = [own(name), own(`${name}_CREATED`)]
  if (value === undefined) {
    throw new SecretFailure(isSecretItself({ env: name }) ? valueForName : `the variable ${name} is not set`)
  }
  return { text: clean(value), created: created === undefined ? undefined : past(created, `the variable ${name}_CREATED`, now) }
}

/** What is looked at is what is read, whatever takes its place meanwhile. Without waiting for the writer of a named pipe. */
async function readSecretFile (path: string, signal: AbortSignal, now: number): Promise<Reading> {
  try {
    const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
    return await contentOf(file, signal, now).finally(() => file.close())
  } catch (error) {
    throw fileFailure(error)
  }
}

/** The time comes last: a file that is written meanwhile is then younger than its text, never older. */
async function contentOf (file: FileHandle, signal: AbortSignal, now: number): Promise<Reading> {
  const { dev, ino } = checkFile(await file.stat())
  const text = clean(await file.readFile({ encoding: 'utf8', signal }))
  const { mtimeMs } = await file.stat()
  return { text, created: isPast(mtimeMs, now) ? mtimeMs : undefined, inode: `${dev}:${ino}` }
}

function attempt (work: () => string): string {
  try {
    return work()
  } catch (error) {
    throw fileFailure(error)
  }
}

function fileFailure (error: unknown): unknown {
  const code = codeOf(error)
  return error instanceof SecretFailure || code === undefined ? error : new SecretFailure(`the file cannot be read (${code})`)
}

/** Opening a named pipe would wait for its writer. */
function checkFile (file: Stats): Stats {
  if (!file.isFile()) throw new SecretFailure('what is there is no file')
  if (file.size > LARGEST) throw new SecretFailure('the file is larger than any secret')
  return file
}

/** A provider is code of the application and may return anything. */
async function ask (provider: SecretProvider, name: string, signal: AbortSignal, now: number): Promise<Reading> {
  const answer: unknown = await provider.read(name, signal)
  const { value, version, created, expires } = Object(answer) as Readonly<Record<string, unknown>>
  if (typeof value !== 'string') throw new SecretFailure('the provider returned no { value } that is a text')
  const text = clean(value)
  return {
    text,
    version: typeof version === 'string' && isShowable(version, text) ? version : undefined,
    created: created === undefined ? undefined : past(created, '`created` of the provider', now),
    expires: expires === undefined ? undefined : time(expires, '`expires` of the provider')
  }
}

/** A version is in every log line about its secret. */
function isShowable (version: string, secret: string): boolean {
  return /^[^\p{Cc}]{1,128}$/u.test(version) && !version.includes(secret)
}

function time (given: unknown, what: string): number {
  const ms = given instanceof Date ? given.getTime() : typeof given === 'string' ? Date.parse(given) : Number.NaN
  if (Number.isNaN(ms)) throw new SecretFailure(`${what} is no date`)
  return ms
}

/** One that was made in the future would never be due. */
function past (given: unknown, what: string, now: number): number {
  const ms = time(given, what)
  if (!isPast(ms, now)) throw new SecretFailure(`${what} is in the future`)
  return ms
}

/** Clocks differ. */
function isPast (ms: number, now: number): boolean {
  return ms <= now + 86_400_000
}

/** Editors and `echo` end a file with a line break, some start it with a byte order mark; many tools write those of a PEM as `\n`. */
function clean (text: string): string {
  const value = (text.includes('-----BEGIN ') ? text.replaceAll('\\n', '\n') : text).replace(/^\uFEFF|[\r\n]+$/g, '')
  if (value.trim() === '') throw new SecretFailure('it is empty')
  if (value.length > LARGEST) throw new SecretFailure('it is larger than any secret')
  // What is no UTF-8 was decoded to U+FFFD.
  if (/[\0\uFFFD]/.test(value)) throw new SecretFailure('it is no text')
  return value
}

/** What may be told of an error. Its message may hold anything, and its members may throw. */
export function explain (error: unknown): string {
  try {
    return explained(error)
  } catch {
    return 'the provider failed'
  }
}

function explained (error: unknown): string {
  if (error instanceof SecretFailure) return error.message
  const { name, code, statusCode, status = statusCode, cause } = Object(error) as Readonly<Record<string, unknown>>
  // gRPC's codes are numbers, and fetch() has the code of the socket in its cause.
  const facts = [code ?? codeOf(cause), status].filter(fact => ['number', 'string'].includes(typeof fact)).map(String).filter(isWord)
  const kind = typeof name === 'string' && isWord(name) ? name : 'an error'
  return `the provider failed with ${kind}${facts.length > 0 ? ` (${facts.join(', ')})` : ''}`
}

function codeOf (error: unknown): string | undefined {
  const { code } = Object(error) as { readonly code?: unknown }
  return typeof code === 'string' && isWord(code) ? code : undefined
}

function isWord (text: string): boolean {
  return /^[\w.]{1,40}$/.test(text)
}
