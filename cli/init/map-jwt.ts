import { parseDuration } from '../../lib/config/index.ts'
import { isFunction, optionsOf, textOf, textsOf, unread } from './options.ts'
import type { Described } from './types.ts'
import type { Expression, Mapped, Value } from './value.ts'

/** Variables of the environment that the plugin file reads, with what each is. */
export const variables: Readonly<Record<string, string>> = {
  SECURE_API_ISSUER: 'the exact `iss` of the tokens',
  SECURE_API_AUDIENCE: 'the name of this API, the `aud` of the tokens',
  SECURE_API_PRIVATE_KEY: 'the private key that signs them, in PEM'
}

const known = [
  'secret', 'sign', 'verify', 'decode', 'namespace', 'cookie', 'formatUser', 'messages', 'trusted', 'jwtVerify', 'jwtDecode', 'jwtSign',
  'decoratorName', 'encapsulate', 'prefix'
]

const told: Readonly<Record<string, string>> = {
  cookie: 'tokens are read from `Authorization: Bearer` only: a cookie is sent by foreign pages too',
  formatUser: '`request.user` holds the claims as they are',
  namespace: 'there is one set of tokens; `issuers` lists several providers',
  trusted: 'write it as `auth.isRevoked`',
  decoratorName: 'the claims are `request.user`',
  messages: 'refusals are problem documents'
}

const notShared = 'the suite does not accept shared secrets (HS256)'
const shared = `${notShared}: make a key pair, set it as SECURE_API_PRIVATE_KEY (\`openssl genpkey -algorithm ed25519\`); ` +
  'tokens signed with the secret are refused from then on, so that callers sign in once more'
const verified = `${notShared}: whoever signs the tokens must sign them with a private key, and publish the public one`

/** Options of @fastify/jwt in the words of the suite. `signs`: the application makes tokens itself. */
export function mapJwt (described: Described, signs: boolean, roleClaims: readonly string[]): Mapped {
  const options = optionsOf(described)
  const [sign, verify] = [optionsOf(options['sign']), optionsOf(options['verify'])]
  const issuer = issuerOf(textOf(verify['allowedIss']) ?? textOf(sign['iss']), signs)
  const audience = namesOf(verify['allowedAud']) ?? namesOf(sign['aud']) ?? []
  const common: Record<string, Value> = {
    issuer,
    audience: audience.length === 0 ? variable('audience', 'api://sample') : audience.length === 1 ? audience[0] ?? '' : audience
  }
  const notes = [
    ...(options['secret'] === 'shared' || optionsOf(options['secret'])['private'] === 'shared' ? [signs ? shared : verified] : []),
    ...Object.entries(told).filter(([name]) => options[name] !== undefined && options[name] !== null)
      .map(([name, why]) => `\`${name}\` of @fastify/jwt is not carried over: ${why}`),
    ...unread(options, known, '@fastify/jwt'),
    ...(audience.length > 0 ? [] : ['tokens must say who they are for: set SECURE_API_AUDIENCE'])
  ]
  const claims = roleClaims.length === 0 ? {} : { roleClaims: [...new Set([...roleClaims, 'roles'])] }
  if (!signs) return { value: { ...common, ...claims }, told: notes }
  const lifetime = lifetimeOf(sign['expiresIn'])
  return {
    value: { ownTokens: { ...common, privateKey: variable('privateKey', ''), ...lifetime.value, ...claims } },
    told: [...notes, ...lifetime.told]
  }
}

/** One audience may hold a comma: it is a URI. */
function namesOf (value: Described | undefined): readonly string[] | undefined {
  return textsOf(typeof value === 'string' ? [value] : value)
}

function issuerOf (issuer: string | undefined, signs: boolean): Value {
  if (issuer !== undefined && (signs || issuer.startsWith('https://'))) return issuer
  return variable('issuer', 'https://issuer.invalid')
}

/** A variable of the plugin file, which stops the boot where the environment does not have it. */
export function variable (name: 'issuer' | 'audience' | 'privateKey', sample: string): Expression {
  return { $code: name, sample }
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

/** Options of fastify-jwt-jwks and fastify-auth0-verify. */
export function mapVerifier (described: Described, roleClaims: readonly string[]): Mapped {
  const options = optionsOf(described)
  const domain = textOf(options['domain'])
  const issuer = textOf(options['issuer']) ?? (domain && `https://${domain.replace(/^https:\/\//, '').replace(/\/$/, '')}/`)
  const audience = namesOf(options['audience'])
  return {
    value: {
      issuer: issuerOf(issuer, false),
      audience: audience?.length ? audience : variable('audience', 'api://sample'),
      ...(typeof options['jwksUrl'] === 'string' && { jwksUri: options['jwksUrl'] }),
      ...(roleClaims.length > 0 && { roleClaims: [...new Set([...roleClaims, 'roles'])] })
    },
    told: unread(options, ['domain', 'issuer', 'audience', 'jwksUrl', 'secret', 'formatUser', 'cookie', 'jwksUri'], 'the token plugin')
  }
}
