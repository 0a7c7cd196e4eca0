import { readFile, stat } from 'node:fs/promises'
import { readFileSync, statSync } from 'node:fs'
import type { SecretPlace, SecretProvider } from './source.ts'

/** One look at a secret. Times are milliseconds since the epoch. */
export interface Reading {
  readonly text: string
  readonly version?: string | undefined
  readonly created?: number | undefined
  readonly expires?: number | undefined
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

/** Rejects with {@link SecretFailure}, or with whatever a provider throws. */
export async function readPlace (place: SecretPlace, signal: AbortSignal, env: NodeJS.ProcessEnv = process.env): Promise<Reading> {
  if ('env' in place) return readVariable(place.env, env)
  return 'file' in place ? await readSecretFile(place.file, signal) : await ask(place.provider, place.name, signal)
}

/** The same at once, for what must not wait. Throws {@link SecretFailure}. */
export function readNow (place: { readonly env: string } | { readonly file: string }, env: NodeJS.ProcessEnv = process.env): string {
  if ('env' in place) return readVariable(place.env, env).text
  return attempt(() => {
    checkFile(statSync(place.file))
    return clean(readFileSync(place.file, 'utf8'))
  })
}

function readVariable (name: string, env: NodeJS.ProcessEnv): Reading {
  const { [name]: value, [`${name}_CREATED`]: created } = env
  if (value === undefined) throw new SecretFailure(`the variable ${name} is not set`)
  return { text: clean(value), created: created === undefined ? undefined : time(created, `the variable ${name}_CREATED`) }
}

/** The time comes last: a file that is replaced meanwhile is then younger than its text, never older. */
async function readSecretFile (path: string, signal: AbortSignal): Promise<Reading> {
  try {
    checkFile(await stat(path))
    const text = clean(await readFile(path, { encoding: 'utf8', signal }))
    return { text, created: (await stat(path)).mtimeMs }
  } catch (error) {
    throw fileFailure(error)
  }
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
function checkFile (file: { isFile (): boolean, readonly size: number }): void {
  if (!file.isFile()) throw new SecretFailure('what is there is no file')
  if (file.size > LARGEST) throw new SecretFailure('the file is larger than any secret')
}

/** A provider is code of the application and may return anything. */
async function ask (provider: SecretProvider, name: string, signal: AbortSignal): Promise<Reading> {
  const answer: unknown = await provider.read(name, signal)
  const { value, version, created, expires } = Object(answer) as Readonly<Record<string, unknown>>
  if (typeof value !== 'string') throw new SecretFailure('the provider returned no { value } that is a text')
  return {
    text: clean(value),
    version: typeof version === 'string' ? version : undefined,
    created: created === undefined ? undefined : time(created, '`created` of the provider'),
    expires: expires === undefined ? undefined : time(expires, '`expires` of the provider')
  }
}

function time (given: unknown, what: string): number {
  const ms = given instanceof Date ? given.getTime() : typeof given === 'string' ? Date.parse(given) : Number.NaN
  if (Number.isNaN(ms)) throw new SecretFailure(`${what} is no date`)
  return ms
}

/** Editors and `echo` end a file with a line break; many tools write those of a PEM as `\n`. */
function clean (text: string): string {
  const value = (text.includes('-----BEGIN ') ? text.replaceAll('\\n', '\n') : text).replace(/[\r\n]+$/, '')
  if (value.trim() === '') throw new SecretFailure('it is empty')
  if (value.length > LARGEST) throw new SecretFailure('it is larger than any secret')
  // What is no UTF-8 was decoded to U+FFFD.
  if (/[\0\uFFFD]/.test(value)) throw new SecretFailure('it is no text')
  return value
}

/** What may be told of an error. Its message may hold anything. */
export function explain (error: unknown): string {
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
