import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { DevelopmentStore } from '../../testing/development-store.ts'
import { UsageError } from '../command.ts'
import type { TokenRecord } from './make.ts'

/** One file a token: two commands at the same time do not disturb each other. */
const prefix = 'token-'
const fileOf = (id: string) => `${prefix}${id}.json`

/** The tokens that were made in a project, without their signatures. */
export class TokenRecords {
  readonly #store: DevelopmentStore

  constructor (store: DevelopmentStore) {
    this.#store = store
  }

  async add (record: TokenRecord): Promise<void> {
    await this.#store.write(fileOf(record.id), `${JSON.stringify(record, undefined, 2)}\n`)
  }

  /** Newest first. Files that hold no record are passed over. */
  async list (): Promise<TokenRecord[]> {
    const names = (await this.#names()).filter(name => name.startsWith(prefix) && name.endsWith('.json'))
    const found = await Promise.all(names.map(async name => parse(await this.#read(name))))
    return found.filter(record => record !== undefined).sort((a, b) => b.issuedAt - a.issuedAt || a.id.localeCompare(b.id))
  }

  /** The one whose id begins so. */
  async find (start: string): Promise<TokenRecord> {
    const found = (await this.list()).filter(({ id }) => start !== '' && id.startsWith(start))
    const [record] = found
    if (record === undefined) throw new UsageError(`there is no token ${JSON.stringify(start)}; \`secure-api token list\` shows them`)
    if (found.length > 1) throw new UsageError(`${found.length} tokens begin with ${JSON.stringify(start)}; give more of the id`)
    return record
  }

  async remove (records: readonly TokenRecord[]): Promise<void> {
    await Promise.all(records.map(({ id }) => rm(join(this.#store.folder, fileOf(id)), { force: true })))
  }

  async #names (): Promise<string[]> {
    try {
      return await readdir(this.#store.folder)
    } catch {
      return []
    }
  }

  /** Another command may have removed it meanwhile. */
  async #read (name: string): Promise<string> {
    return await readFile(join(this.#store.folder, name), 'utf8').catch(() => '')
  }
}

function parse (text: string): TokenRecord | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isRecord(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isRecord (value: unknown): value is TokenRecord {
  if (typeof value !== 'object' || value === null) return false
  const { id, kid, claims, issuedAt, expiresAt } = value as Partial<Record<keyof TokenRecord, unknown>>
  return isId(id) && typeof kid === 'string' && typeof issuedAt === 'number' && typeof expiresAt === 'number' &&
    typeof claims === 'object' && claims !== null
}

/** The id names a file. */
function isId (id: unknown): boolean {
  return typeof id === 'string' && /^[\w-]+$/.test(id)
}
