import { apiKeyId, hashOf, scannerPattern, type ApiKeyRecord } from '../../lib/api-keys/index.ts'
import { standingOf, summary } from './show.ts'

export interface Checked {
  /** Whether an application with this prefix and these records would accept the key, from an address that it allows. */
  readonly good: boolean
  readonly lines: readonly string[]
}

interface Expected {
  readonly prefix: string | undefined
  /** Undefined where no file was named. */
  readonly records: readonly ApiKeyRecord[] | undefined
  readonly now: number
}

/** What can be said of a key without showing it. */
export function checkKey (text: string, { prefix, records, now }: Expected): Checked {
  const [, own] = /^([a-z][a-z0-9]{1,15})_/.exec(text) ?? []
  if (own === undefined || !new RegExp(`^${scannerPattern(own)}$`).test(text)) {
    return bad('form: this is not an API key: <prefix>_<id>_<secret and checksum>, 12 and 38 letters and digits')
  }
  const id = apiKeyId(text)
  if (id === undefined) return bad('form: right', `prefix: ${own}`, 'checksum: wrong, so the key was mistyped or changed')
  const lines = ['form: right', `prefix: ${own}`, 'checksum: right', `id: ${id}`]
  if (prefix !== undefined && own !== prefix) return bad(...lines, `the application expects the prefix ${prefix}`)
  if (records === undefined) return { good: true, lines }
  const { good, lines: more } = checkSecret(hashOf(text), records.find(record => record.id === id), now)
  return { good, lines: [...lines, ...more] }
}

function checkSecret (hash: string, record: ApiKeyRecord | undefined, now: number): Checked {
  if (record === undefined) return bad('record: none of this id is in the file')
  const line = `record: ${summary(record, now)}`
  const secret = record.secrets.find(secret => secret.hash === hash)
  if (secret === undefined) return bad(line, 'secret: none of this record; it was replaced, or belongs to another file')
  const isOver = secret.expires !== undefined && Date.parse(secret.expires) <= now
  if (isOver) return bad(line, `secret: ended ${secret.expires}`)
  const good = ['active', 'rotating'].includes(standingOf(record, now).state)
  return { good, lines: [line, secret.expires === undefined ? 'secret: the current one' : `secret: an old one, until ${secret.expires}`] }
}

function bad (...lines: readonly string[]): Checked {
  return { good: false, lines }
}
