import { parseDuration } from '../../lib/config/index.ts'
import type { FetchedKeys } from './get-jwks.ts'
import { mapKeys, noKeys } from './map-keys.ts'
import { isFunction, optionsOf, textOf, unread } from './options.ts'
import { lostIssuers, lostRefusals, lostUser } from './refusals.ts'
import {
  algorithmsOf, audienceOf, issuerOf, namesOf, notShared, rolesOf, setAudience, setIssuer, toldOf, toSet, variable, verified
} from './token-options.ts'
import type { Described, DescribedObject } from './types.ts'
import type { Mapped, Value } from './value.ts'

const known = [
  'secret', 'sign', 'verify', 'decode', 'namespace', 'cookie', 'formatUser', 'messages', 'trusted', 'jwtVerify', 'jwtDecode', 'jwtSign',
  'decoratorName', 'encapsulate', 'prefix'
]

const shared = `${notShared}: make a key pair, set it as SECURE_API_PRIVATE_KEY (\`openssl genpkey -algorithm ed25519\`); ` +
  'tokens signed with the secret are refused from then on, so that callers sign in once more'

/** Options of @fastify/jwt in the words of the suite. `signs`: the application makes tokens itself. */
export function mapJwt (described: Described, signs: boolean, roleClaims: readonly string[], keys?: FetchedKeys): Mapped {
  const options = optionsOf(described)
  const [sign, verify] = [optionsOf(options['sign']), optionsOf(options['verify'])]
  const fetched = signs || keys === undefined ? noKeys : mapKeys(keys, verify['allowedIss'] ?? options['issuersWhitelist'])
  const issuer = issuerOf(textOf(verify['allowedIss']) ?? textOf(sign['iss']) ?? fetched.issuer, signs)
  const audience = audienceOf(namesOf(verify['allowedAud']) ?? namesOf(sign['aud']) ?? [])
  const told = [...secretOf(options, signs), ...toldOf(options, '@fastify/jwt'), ...unread(options, known, '@fastify/jwt'),
    ...toSet(audience, setAudience), ...fetched.told.length > 0 ? fetched.told : toSet(issuer, setIssuer)]
  const lost = [...lostUser(options, '@fastify/jwt'), ...lostRefusals(options, '@fastify/jwt'),
    ...lostRefusals(verify, '`verify` of @fastify/jwt'), ...lostIssuers(verify['allowedIss']), ...fetched.lost]
  const common = { issuer, audience, ...rolesOf(roleClaims) }
  if (!signs) return { value: { ...common, ...fetched.value, ...algorithmsOf(verify['algorithms']) }, told, lost }
  const lifetime = lifetimeOf(sign['expiresIn'])
  const ownTokens = { ...common, privateKey: variable('privateKey', ''), ...lifetime.value }
  return { value: { ownTokens }, told: [...told, ...lifetime.told], lost }
}

function secretOf ({ secret }: DescribedObject, signs: boolean): readonly string[] {
  return secret === 'shared' || optionsOf(secret)['private'] === 'shared' ? [signs ? shared : verified] : []
}

const longest = 30 * 86_400_000

function lifetimeOf (expiresIn: Described | undefined): { value: Record<string, Value>, told: readonly string[] } {
  const written = typeof expiresIn === 'number' ? `${expiresIn} seconds` : typeof expiresIn === 'string' ? expiresIn : undefined
  const ms = written === undefined ? undefined : parseDuration(written)
  if (ms !== undefined && written !== undefined && ms >= 1000 && ms <= longest) return { value: { expiresIn: written }, told: [] }
  const why = written === undefined && !isFunction(expiresIn) ? 'had no end' : `lived ${written ?? ''}`
  const now = 'now they live 15 minutes, which `ownTokens.expiresIn` changes up to 30 days'
  return { value: {}, told: [`tokens of the application ${why.trim()}; ${now}`] }
}
