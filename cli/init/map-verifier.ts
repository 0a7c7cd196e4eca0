import { optionsOf, textOf, unread } from './options.ts'
import { lostIssuers, lostRefusals, lostUser, refusals } from './refusals.ts'
import {
  audienceOf, issuerOf, namesOf, refreshOf, rolesOf, setAudience, setIssuer, told, toldOf, toSet, verified
} from './token-options.ts'
import type { Described } from './types.ts'
import type { Mapped } from './value.ts'

const known = [
  'domain', 'issuer', 'audience', 'jwksUrl', 'secret', 'jwksUri', 'secretsTtl', 'formatUser', ...Object.keys(told), ...refusals
]

const plugin = 'the token plugin'

/** Options of fastify-jwt-jwks and fastify-auth0-verify, which hand what they do not know to `verify` of @fastify/jwt. */
export function mapVerifier (described: Described, roleClaims: readonly string[]): Mapped {
  const options = optionsOf(described)
  const url = addressOf(textOf(options['jwksUrl']) ?? textOf(options['domain']))
  const origin = url && `${url.origin}/`
  const named = options['issuer'] ?? origin
  const issuer = issuerOf(textOf(named), false)
  const audience = audienceOf((options['audience'] === true && origin ? [origin] : namesOf(options['audience'])) ?? [])
  return {
    value: {
      issuer,
      audience,
      ...(url !== undefined && options['jwksUrl'] !== undefined && { jwksUri: url.href, algorithms: ['RS256', 'EdDSA'] }),
      ...refreshOf(Number(options['secretsTtl'] ?? Number.NaN)),
      ...rolesOf(roleClaims)
    },
    told: [
      ...(options['secret'] === undefined || options['secret'] === null ? [] : [verified]),
      ...toSet(audience, setAudience),
      ...toSet(issuer, setIssuer),
      ...toldOf(options, plugin),
      ...unread(options, known, plugin)
    ],
    lost: [...lostUser(options, plugin), ...lostRefusals(options, plugin), ...lostIssuers(named)]
  }
}

/** They take an address without `https://` too. */
function addressOf (text: string | undefined): URL | undefined {
  const whole = text === undefined || /^https?:/.test(text) ? text : `https://${text}`
  return whole !== undefined && URL.canParse(whole) ? new URL(whole) : undefined
}
