import { readFileSync } from 'node:fs'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { scheduleTimer, type Schedule } from '../async/index.ts'
import { isFields, Problems, trustFileFault, type ConfigurationCode } from '../config/index.ts'
import { checkRecords, storedKey, type ApiKeyRecord, type StoredKey } from './record.ts'
import type { KeyStore } from './store.ts'

const CODE: ConfigurationCode = 'SECURE_API_API_KEYS_FILE'
const howTo = 'Make it with `secure-api key create`, or write { "keys": [] }.'

/** The records of a file. What is wrong with it is added to `problems`; then nothing of it may be used. */
export function readKeyFile (file: string, path: string, problems: Problems): readonly ApiKeyRecord[] {
  const text = textOf(file, path, problems)
  return text === undefined ? [] : recordsOf(text, path, problems)
}

function textOf (file: string, path: string, problems: Problems): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    problems.add(CODE, path, `it cannot be read: ${codeOf(error)}`, howTo)
    return undefined
  }
}

/** Replaces the file at once, so that no reader sees half of it. Only its owner may read and write it. */
export async function writeKeyFile (file: string, keys: readonly ApiKeyRecord[]): Promise<void> {
  const other = `${file}.${randomBytes(6).toString('hex')}`
  try {
    await writeFile(other, `${JSON.stringify({ keys }, undefined, 2)}\n`, { mode: 0o600, flag: 'wx' })
    await rename(other, file)
  } catch (error) {
    await rm(other, { force: true })
    throw error
  }
}

/** Whether others can write the file, which decides who may call. */
export function checkKeyFileMode (file: string, path: string, problems: Problems): void {
  const fault = trustFileFault(file)
  if (fault !== undefined) problems.add('SECURE_API_TRUST_FILE_MODE', path, fault.why, fault.fix)
}

/** Never shows what stands in the file: `JSON.parse` quotes it. */
function recordsOf (text: string, path: string, problems: Problems): readonly ApiKeyRecord[] {
  const content = parsed(text)
  if (!isFields(content) || !Array.isArray(content.keys) || Object.keys(content).length !== 1) {
    problems.add(CODE, path, 'it is not JSON of the form { "keys": [ … ] }', howTo)
    return []
  }
  checkRecords(content.keys, `${path}: keys`, problems)
  return content.keys as readonly ApiKeyRecord[]
}

function parsed (text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function codeOf (error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason'
}

export type KeyFileEvent =
  /** New content is used. */
  | { readonly type: 'apiKeys.replaced', readonly keys: number }
  /** The content is not usable, so the last good one stays. Reported once for the same reasons. */
  | { readonly type: 'apiKeys.rejected', readonly codes: readonly ConfigurationCode[] }

export interface KeyFileOptions {
  readonly file: string
  /** Milliseconds. */
  readonly refresh: number
  /** Whether a file that others can write is refused. */
  readonly strict: boolean
  readonly onEvent: (event: KeyFileEvent) => void
  readonly now: () => number
  readonly schedule?: Schedule | undefined
}

/** The records of a file, read again by content and not by time: links and mounts change without. */
export class KeyFile implements KeyStore {
  readonly #options: KeyFileOptions
  #text = ''
  #records: ReadonlyMap<string, StoredKey> = new Map()
  #rejected: readonly ConfigurationCode[] = []
  #read = 0
  #cancel = () => {}
  #closed = false
  #last = Promise.resolve(true)

  constructor (options: KeyFileOptions) {
    this.#options = options
  }

  peek (id: string): StoredKey | undefined {
    return this.#records.get(id)
  }

  async find (id: string): Promise<StoredKey | undefined> {
    return this.#records.get(id)
  }

  /** There is nothing between the file and a request. */
  forget (): void {}

  /** Reads the file the first time; throws what is wrong with it. */
  open (path: string): void {
    const problems = new Problems()
    const text = textOf(this.#options.file, path, problems) ?? ''
    const records = problems.any ? [] : recordsOf(text, path, problems)
    problems.throwIfAny()
    this.#use(text, records)
    this.#again()
  }

  close (): void {
    this.#closed = true
    this.#cancel()
  }

  /** Reads the file now. False: it cannot be used, and the last good content stays. */
  refresh (): Promise<boolean> {
    // One after the other: a slow look must not bring old content back.
    this.#last = this.#last.then(() => this.#look())
    return this.#last
  }

  async #look (): Promise<boolean> {
    const { file, strict, onEvent } = this.#options
    const problems = new Problems()
    const text = await readFile(file, 'utf8').catch((error: unknown) => { problems.add(CODE, '', codeOf(error), '') })
    if (text !== undefined && text === this.#text && this.#rejected.length === 0) return true
    if (strict) checkKeyFileMode(file, '', problems)
    const records = text === undefined ? [] : recordsOf(text, '', problems)
    const codes = [...new Set(problems.list().map(({ code }) => code))]
    if (codes.length === 0 && text !== undefined) {
      this.#use(text, records)
      onEvent({ type: 'apiKeys.replaced', keys: records.length })
    } else if (String(codes) !== String(this.#rejected)) onEvent({ type: 'apiKeys.rejected', codes })
    this.#rejected = codes
    return codes.length === 0
  }

  status (): object {
    const read = new Date(this.#read).toISOString()
    return { keys: this.#records.size, file: { ok: this.#rejected.length === 0, read, rejected: this.#rejected } }
  }

  #use (text: string, records: readonly ApiKeyRecord[]): void {
    this.#text = text
    this.#read = this.#options.now()
    this.#records = new Map(records.map(record => [record.id, storedKey(record)]))
  }

  #again (): void {
    const { refresh, schedule = scheduleTimer } = this.#options
    this.#cancel = schedule(async () => {
      await this.refresh()
      if (!this.#closed) this.#again()
    }, refresh)
  }
}
