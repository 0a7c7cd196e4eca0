import type { Pool } from 'pg'
import { createApiKey, type ApiKeyRow, type ApiKeyUse } from '../../plugins/index.ts'

/** What a new key may do. */
export interface NewKey {
  readonly owner: string
  readonly name?: string
  readonly scopes?: readonly string[]
  readonly roles?: readonly string[]
  readonly expires?: Date
}

const record = `
  select k.id, k.owner, k.name, k.scopes, k.roles, k.expires, k.revoked, k.allowed_addresses as "allowedAddresses",
    json_agg(json_build_object('hash', s.hash, 'expires', s.expires)) as secrets
  from api_keys k join api_key_secrets s on s.key_id = k.id
  where k.id = $1 group by k.id`

/** All keys of a report in one statement. A late report does not turn the time back. */
const used = `
  update api_keys k set last_used = greatest(k.last_used, u.last_used), last_address = u.address
  from unnest($1::text[], $2::timestamptz[], $3::text[]) as u (id, last_used, address)
  where k.id = u.id`

const insertKey = 'insert into api_keys (id, owner, name, scopes, roles, expires) values ($1, $2, $3, $4, $5, $6)'
const insertSecret = 'insert into api_key_secrets (key_id, hash) values ($1, $2)'
const removeEnded = 'delete from api_key_secrets where key_id = $1 and expires <= now()'
const endCurrent = 'update api_key_secrets set expires = now() + $2::interval where key_id = $1 and expires is null'

/** API keys in PostgreSQL. Secrets never reach the database, in statements and logs neither. */
export class KeyTable {
  readonly #pool: Pool

  constructor (pool: Pool) {
    this.#pool = pool
  }

  /** For `auth.apiKeys.lookup`. */
  readonly lookup = async (id: string): Promise<ApiKeyRow | undefined> => (await this.#pool.query<ApiKeyRow>(record, [id])).rows[0]

  /** For `auth.apiKeys.onUse`. */
  readonly onUse = async (uses: readonly ApiKeyUse[]): Promise<void> => {
    await this.#pool.query(used, [uses.map(({ id }) => id), uses.map(({ lastUsed }) => lastUsed), uses.map(({ address }) => address)])
  }

  /** The text of the new key: show it once, keep it nowhere. */
  async create (prefix: string, { owner, name, scopes = [], roles = [], expires }: NewKey): Promise<string> {
    const { key, id, hash } = createApiKey(prefix)
    await this.#atOnce([[insertKey, [id, owner, name, scopes, roles, expires]], [insertSecret, [id, hash]]])
    return key
  }

  /** A second secret; the one before works for `overlap` (an interval of PostgreSQL). Rejects while another rotation is under way. */
  async rotate (prefix: string, id: string, overlap = '7 days'): Promise<string> {
    const { key, hash } = createApiKey(prefix, id)
    await this.#atOnce([[removeEnded, [id]], [endCurrent, [id, overlap]], [insertSecret, [id, hash]]])
    return key
  }

  /** Call `app.apiKeys.forget(id)` too: without it the key works until the cache's time is over. */
  async revoke (id: string): Promise<boolean> {
    const { rowCount } = await this.#pool.query('update api_keys set revoked = now() where id = $1 and revoked is null', [id])
    return rowCount === 1
  }

  async #atOnce (statements: ReadonlyArray<readonly [sql: string, values: unknown[]]>): Promise<void> {
    const client = await this.#pool.connect()
    try {
      await client.query('begin')
      for (const [sql, values] of statements) await client.query(sql, values)
      await client.query('commit')
    } catch (error) {
      await client.query('rollback').catch(() => {})
      throw error
    } finally {
      client.release()
    }
  }
}
