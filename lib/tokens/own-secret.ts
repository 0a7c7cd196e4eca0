import { createHmac, createSecretKey, timingSafeEqual, type KeyObject } from 'node:crypto'
import type { SignedParts } from './gate.ts'

/** A secret that has signed tokens. Those in a cache end with it. */
interface SigningSecret {
  readonly text: string
  readonly key: KeyObject
  active: boolean
}

/**
 * The secrets that sign the application's own tokens with HS256 (RFC 7518 §3.2): the one of today, and former ones for a while. No key set
 * holds them, and no key of a provider is one: HS256 is verified by this class alone, and with it nothing else.
 */
export class OwnSecret {
  #secrets: readonly SigningSecret[] = []

  constructor (...texts: readonly string[]) {
    this.replace(texts)
  }

  /** These are good from now on. What others have signed ends at once. */
  replace (texts: readonly string[]): void {
    const before = this.#secrets
    this.#secrets = texts.map(text => before.find(known => known.text === text) ??
      { text, key: createSecretKey(text, 'utf8'), active: true })
    for (const secret of before) secret.active = this.#secrets.includes(secret)
  }

  /** What has signed it, or undefined. */
  signerOf ({ signingInput, signature }: SignedParts): { readonly active: boolean } | undefined {
    return this.#secrets.find(({ key }) => {
      const expected = createHmac('sha256', key).update(signingInput, 'latin1').digest()
      return signature.length === expected.length && timingSafeEqual(signature, expected)
    })
  }
}
