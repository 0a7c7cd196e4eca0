import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { link, mkdir, readFile, rename, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ConfigurationError } from '../lib/config/index.ts'
import { readOwnKey, type OwnKey } from '../lib/tokens/index.ts'

/** Where a project keeps what its development issuer needs. */
export const DEVELOPMENT_FOLDER = '.secure-api'

const files = { key: 'key.pem', audience: 'audience.json', ignore: '.gitignore' } as const

/** The key and the audience of a project's development issuer, in a folder that git ignores and others cannot read. */
export class DevelopmentStore {
  readonly folder: string

  /** @param directory the project's folder */
  constructor (directory: string) {
    this.folder = join(directory, DEVELOPMENT_FOLDER)
  }

  /** The key; made with the first use. Processes that start together get the same one. */
  async key (): Promise<OwnKey> {
    return await this.existingKey() ?? this.#parse(await this.#makeKey())
  }

  /** The key, unless there is none yet. */
  async existingKey (): Promise<OwnKey | undefined> {
    const pem = await this.#read(files.key)
    return pem === undefined ? undefined : this.#parse(pem)
  }

  /** Replaces the key: tokens made so far end once the application is started again. */
  async rotate (): Promise<OwnKey> {
    const pem = newKey()
    await this.write(files.key, pem)
    return this.#parse(pem)
  }

  /** The audience that an application asked for last; undefined where none has. */
  async audience (): Promise<string | string[] | undefined> {
    const text = await this.#read(files.audience)
    return text === undefined ? undefined : audienceOf(text)
  }

  async rememberAudience (audience: string | string[]): Promise<void> {
    const text = `${JSON.stringify(audience)}\n`
    if (await this.#read(files.audience) !== text) await this.write(files.audience, text)
  }

  /** Writes a file that appears whole or not at all; one that is there is replaced. */
  async write (name: string, text: string): Promise<void> {
    await this.#stored(async () => {
      await rename(await this.#temporary(text), join(this.folder, name))
    })
  }

  /** A link, unlike a rename, never replaces what another process has put there meanwhile. */
  async #makeKey (): Promise<string> {
    return await this.#stored(async () => {
      const temporary = await this.#temporary(newKey())
      const target = join(this.folder, files.key)
      await link(temporary, target).catch(unless('EEXIST'))
      await unlink(temporary)
      return await readFile(target, 'utf8')
    })
  }

  async #temporary (text: string): Promise<string> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 })
    await writeFile(join(this.folder, files.ignore), '*\n', { flag: 'wx', mode: 0o600 }).catch(unless('EEXIST'))
    const path = join(this.folder, `${randomBytes(8).toString('hex')}.tmp`)
    await writeFile(path, text, { flag: 'wx', mode: 0o600 })
    return path
  }

  async #read (name: string): Promise<string | undefined> {
    return await this.#stored(async () => await readFile(join(this.folder, name), 'utf8').catch(unless('ENOENT')))
  }

  #parse (pem: string): OwnKey {
    const key = readOwnKey(pem)
    if (key?.algorithm !== 'ES256') {
      throw this.#failure('it is not a P-256 private key',
        'Run `secure-api token keys rotate` to make another one.')
    }
    return key
  }

  async #stored<T> (work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw this.#failure(`it cannot be read or written (${codeOf(error)})`,
        'Check the permissions of the folder, or give another `directory`.')
    }
  }

  #failure (why: string, fix: string): ConfigurationError {
    return new ConfigurationError([{ code: 'SECURE_API_DEVELOPMENT_KEY', path: join(this.folder, files.key), why, fix }])
  }
}

/** P-256: made in a millisecond, and its tokens are short. */
function newKey (): string {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()
}

function audienceOf (text: string): string | string[] | undefined {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'string') return value
    return Array.isArray(value) && value.every(name => typeof name === 'string') ? value : undefined
  } catch {
    return undefined
  }
}

function codeOf (error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
}

function unless (code: string) {
  return (error: unknown): undefined => {
    if (codeOf(error) !== code) throw error
  }
}
