import { createHash } from 'node:crypto'

const longest = 128
const hashMark = '#'

/** The key, or its hash if the key is long. A key that looks like a hash is hashed too, so that it cannot pose as one. */
export function boundedKey (key: string): string {
  return key.length <= longest && !key.startsWith(hashMark) ? key : hashedKey(key)
}

export function hashedKey (key: string): string {
  return hashMark + createHash('sha256').update(key).digest('base64url')
}
