import { createHmac, createSecretKey, timingSafeEqual, type KeyObject } from 'node:crypto'
import type { SignedParts } from './gate.ts'

/**
 * The secret that signs the application's own tokens with HS256 (RFC 7518 §3.2). No key set holds it, and no key of a provider is one:
 * HS256 is verified by this class alone, and with it nothing else.
 */
export class OwnSecret {
  readonly active = true
  readonly #key: KeyObject

  constructor (secret: string) {
    this.#key = createSecretKey(secret, 'utf8')
  }

  hasSigned ({ signingInput, signature }: SignedParts): boolean {
    const expected = createHmac('sha256', this.#key).update(signingInput, 'latin1').digest()
    return signature.length === expected.length && timingSafeEqual(signature, expected)
  }
}

/** In bytes: RFC 7518 §3.2, as long as the hash. */
export const SHORTEST_SECRET = 32

/** What READMEs and tutorials print, and what people pad it with. */
const printed = [
  'supersecret', 'yoursecret', 'mysecret', 'topsecret', 'jwtsecret', 'sharedsecret', 'asecret', 'secretkey', 'secret', 'changethis',
  'changeme', 'replaceme', 'password', 'passphrase', 'keyboardcat', 'averylogphrasebiggerthanthirtytwochars',
  'withminimumlengthof32characters', 'your256bit', 'atleast256bitslong', 'thatisatleast32characterslong', 'thirtytwo', '32characters',
  'characters', 'string', 'stringsecret', 'shhh', 'qwerty', 'letmein', 'example', 'development', 'production', 'test', 'token',
  'fastify', 'please', 'default', 'minimum', 'length', 'long', 'enough', 'very', 'must', 'this', 'that', 'with', 'least', 'your', 'key',
  'jwt'
].sort((a, b) => b.length - a.length)

/** What is wrong with a secret; undefined: nothing that can be seen. */
export function weaknessOf (secret: string): string | undefined {
  const bytes = Buffer.byteLength(secret)
  if (bytes < SHORTEST_SECRET) return `it has ${bytes} bytes, and HS256 needs ${SHORTEST_SECRET} (RFC 7518 §3.2): shorter ones are guessed`
  if (isRepeated(secret) || new Set(secret).size < 8 || isCounted(secret)) return 'it repeats itself'
  const plain = secret.toLowerCase().replace(/[\s_\-.,:;!'"]/g, '')
  const rest = printed.reduce((text, phrase) => text.replaceAll(phrase, ''), plain)
  const isPrinted = rest.length < plain.length && (rest.length < 16 || new Set(rest).size < 8 || isCounted(rest))
  return isPrinted ? 'it is made of words that documentation prints as secrets' : undefined
}

/** `abcabcabc`. */
function isRepeated (text: string): boolean {
  for (let unit = 1; unit <= text.length / 2; unit++) if (text.startsWith(text.slice(unit))) return true
  return false
}

/** `1234567890abcdef…`: most characters follow the one before them. */
function isCounted (text: string): boolean {
  let steps = 0
  for (let index = 1; index < text.length; index++) {
    const step = text.charCodeAt(index) - text.charCodeAt(index - 1)
    if (step >= -1 && step <= 1) steps++
  }
  return steps > text.length / 2
}
