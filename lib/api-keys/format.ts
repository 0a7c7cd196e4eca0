import { hash, randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'

/**
 * The text of a key: `<prefix>_<id>_<secret><checksum>`. The prefix says whose key it is to people and to secret scanners, the id
 * names the record, the secret has 190 bits, and the checksum (CRC-32) tells a typing error from a wrong key without a look-up.
 */
const form = /^([a-z][a-z0-9]{1,15})_([0-9A-Za-z]{12})_[0-9A-Za-z]{32}[0-9A-Za-z]{6}$/

export const prefixPattern = '^[a-z][a-z0-9]{1,15}$'
export const idPattern = '^[0-9A-Za-z]{12}$'
export const hashPattern = '^sha256:[0-9a-f]{64}$'

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const ID = 12
const SECRET = 32
const CHECKSUM = 6
/** The longest prefix, both underscores and the rest. */
const LONGEST = 16 + ID + SECRET + CHECKSUM + 2

/** A new key. Its text is shown once and kept nowhere. */
export interface NewApiKey {
  /** The whole text, for the caller. Secret. */
  readonly key: string
  /** Names the record. Not secret. */
  readonly id: string
  /** What the record keeps: `sha256:` and the digest of the text. */
  readonly hash: string
}

/**
 * Makes a key. A record needs only its `id` and `hash`.
 *
 * @param prefix as in `auth.apiKeys.prefix`
 * @param id of the record that gets another secret; absent: a new record
 * @example
 * const { key, id, hash } = createApiKey('shop')
 * await db.query('insert into api_keys (id, hash) values ($1, $2)', [id, hash])
 */
export function createApiKey (prefix: string, id: string = randomText(ID)): NewApiKey {
  if (!new RegExp(prefixPattern).test(prefix)) throw new TypeError('the prefix is not 2 to 16 lower case letters and digits')
  if (!new RegExp(idPattern).test(id)) throw new TypeError('the id is not 12 letters and digits')
  const text = `${prefix}_${id}_${randomText(SECRET)}`
  const key = text + checksum(text)
  return { key, id, hash: hashOf(key) }
}

/** The id in the text of a key; undefined for what is no key, a mistyped one, or one of another prefix. */
export function apiKeyId (text: string, prefix?: string): string | undefined {
  if (text.length > LONGEST) return undefined
  const parts = form.exec(text)
  if (parts === null || (prefix !== undefined && parts[1] !== prefix)) return undefined
  return text.endsWith(checksum(text.slice(0, -CHECKSUM))) ? parts[2] : undefined
}

export function hashOf (text: string): string {
  return `sha256:${hash('sha256', text, 'hex')}`
}

/** For the custom patterns of secret scanners. */
export function scannerPattern (prefix: string): string {
  return `${prefix}_[0-9A-Za-z]{${ID}}_[0-9A-Za-z]{${SECRET + CHECKSUM}}`
}

function checksum (text: string): string {
  let [number, digits] = [crc32(text), '']
  for (let at = 0; at < CHECKSUM; at++) {
    digits = alphabet.charAt(number % alphabet.length) + digits
    number = Math.floor(number / alphabet.length)
  }
  return digits
}

/** Bytes from here on would make the first letters more likely than the others. */
const FAIR = 256 - 256 % alphabet.length

function randomText (length: number): string {
  let text = ''
  while (text.length < length) {
    for (const byte of randomBytes(length - text.length)) if (byte < FAIR) text += alphabet.charAt(byte % alphabet.length)
  }
  return text
}
