import type { TokenFailureCode } from '../http/index.ts'
import type { UncheckedClaims } from './claims.ts'

/** What the header of an acceptable token says. Nothing else in it is used: `jku`, `x5u`, `jwk` and `x5c` are the sender's word (RFC 8725 §3.10). */
export interface TokenHeader {
  readonly alg: string
  readonly kid: string | undefined
  /** Lower case, without `application/`. */
  readonly typ: string | undefined
}

/** In characters. A longer one is no name. */
const MAX_KID = 256
const unprintable = /[\p{Cc}\p{Cs}]/u

/** The header's members, or why a token with them is refused whoever issued it. */
export function checkHeader (header: UncheckedClaims): TokenHeader | TokenFailureCode {
  const { alg, kid } = header
  if (typeof alg !== 'string') return 'SECURE_API_TOKEN_ALGORITHM'
  if (hasCritical(header)) return 'SECURE_API_TOKEN_CRITICAL'
  const typ = readType(header.typ)
  if (typ === false) return 'SECURE_API_TOKEN_TYPE'
  if (!isKeyId(kid)) return 'SECURE_API_TOKEN_MALFORMED'
  return { alg, kid, typ }
}

/** RFC 7515 §4.1.11: no extension is understood here. An unencoded payload (RFC 7797) is one even where `crit` fails to say so. */
function hasCritical (header: UncheckedClaims): boolean {
  return Object.hasOwn(header, 'crit') || (Object.hasOwn(header, 'b64') && header.b64 !== true)
}

/** RFC 7515 §4.1.9: media types are case-insensitive, and `application/` may be left out. */
function readType (typ: unknown): string | undefined | false {
  if (typ === undefined) return undefined
  return typeof typ === 'string' && typ.toLowerCase().replace(/^application\//, '')
}

function isKeyId (kid: unknown): kid is string | undefined {
  if (kid === undefined) return true
  return typeof kid === 'string' && kid !== '' && kid.length <= MAX_KID && !unprintable.test(kid)
}
