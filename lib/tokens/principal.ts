import { deepFreeze, immutableSet, type Principal } from '../credentials/index.ts'
import { claimAt, textClaim, type AccessTokenClaims, type ClaimPath } from './claims.ts'
import type { IssuerRules } from './rules.ts'

/** The names of the client, those of the standards first: RFC 9068, OpenID Connect, Okta, Entra ID v1. */
const clientClaims = ['client_id', 'azp', 'cid', 'appid'] as const

/** Who a verified token stands for. Everything in it is frozen, the claims too, so that requests can share it. */
export function buildPrincipal (claims: AccessTokenClaims, rules: IssuerRules): Principal<AccessTokenClaims> {
  const tenant = rules.tenant ?? textClaim(claims, 'tid')
  return Object.freeze({
    kind: rules.isService(claims) ? 'service' : 'user',
    subject: claims.sub,
    client: firstText(claims, clientClaims),
    issuer: claims.iss,
    ...(tenant === undefined ? undefined : { tenant }),
    scopes: immutableSet(collect(claims, rules.scopeClaims, separated)),
    roles: immutableSet(collect(claims, rules.roleClaims, single)),
    claims: deepFreeze(claims),
    expiresAt: claims.exp * 1000
  })
}

function firstText (claims: AccessTokenClaims, names: readonly string[]): string | undefined {
  for (const name of names) {
    const value = textClaim(claims, name)
    if (value !== undefined && value !== '') return value
  }
  return undefined
}

/** Values of all these claims. Members that are no text are passed over: `true` is nobody's scope. */
function collect (claims: AccessTokenClaims, paths: readonly ClaimPath[], split: (text: string) => string[]): string[] {
  const found: string[] = []
  for (const path of paths) {
    const value = claimAt(claims, path)
    if (typeof value === 'string') found.push(...split(value))
    else if (Array.isArray(value)) found.push(...value.filter(isName))
  }
  return found
}

function isName (value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

/** RFC 6749 §3.3: scopes are separated by spaces. */
function separated (text: string): string[] {
  return text.split(' ').filter(isName)
}

/** A role may hold spaces (`Domain Admins`), so that a text is one role. */
function single (text: string): string[] {
  return isName(text) ? [text] : []
}
