import { randomBytes } from 'node:crypto'
import type { HeaderPair } from '../http/index.ts'
import type { HeaderTable, NonceHeader } from './table.ts'

/** Headers for one response, with the nonce they allow. */
interface NoncedHeaders {
  readonly nonce: string
  readonly headers: readonly HeaderPair[]
}

const bytes = 16 // CSP3 §7.1: at least 128 bits
const batch = 256

/** Cuts nonces from a larger draw: a call of `randomBytes` costs more than its bytes. */
export function createNonceSource (): () => string {
  let pool = Buffer.alloc(0)
  let offset = 0
  return () => {
    if (offset >= pool.length) {
      pool = randomBytes(bytes * batch)
      offset = 0
    }
    offset += bytes
    return pool.toString('base64', offset - bytes, offset)
  }
}

/** Makes the headers of each response with a nonce; joins text that was split at boot. */
export function compileNonceTable ({ nonces }: HeaderTable, next: () => string = createNonceSource()): () => NoncedHeaders {
  return () => {
    const nonce = next()
    return { nonce, headers: nonces.map(header => fill(header, nonce)) }
  }
}

function fill ({ name, segments }: NonceHeader, nonce: string): HeaderPair {
  return [name, segments.join(nonce)]
}
