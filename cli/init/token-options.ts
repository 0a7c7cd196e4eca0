import { textsOf } from './options.ts'
import type { Described, DescribedObject } from './types.ts'
import type { Expression, Value } from './value.ts'

/** Variables of the environment that the plugin file reads, with what each is. */
export const variables: Readonly<Record<string, string>> = {
  SECURE_API_ISSUER: 'the exact `iss` of the tokens',
  SECURE_API_AUDIENCE: 'the name of this API, the `aud` of the tokens',
  SECURE_API_PRIVATE_KEY: 'the private key that signs them, in PEM'
}

/** A variable of the plugin file, which stops the boot where the environment does not have it. */
export function variable (name: 'issuer' | 'audience' | 'privateKey', sample: string): Expression {
  return { $code: name, sample }
}

export const notShared = 'the suite does not accept shared secrets (HS256)'
export const verified = `${notShared}: whoever signs the tokens must sign them with a private key, and publish the public one`

/** One audience may hold a comma: it is a URI. */
export function namesOf (value: Described | undefined): readonly string[] | undefined {
  return textsOf(typeof value === 'string' ? [value] : value)
}

export function issuerOf (issuer: string | undefined, signs: boolean): Value {
  if (issuer !== undefined && (signs || issuer.startsWith('https://'))) return issuer
  return variable('issuer', 'https://issuer.invalid')
}

export function audienceOf (names: readonly string[]): Value {
  const [only, ...more] = names
  if (only === undefined) return variable('audience', 'api://sample')
  return more.length === 0 ? only : names
}

export function rolesOf (claims: readonly string[]): Record<string, Value> {
  return claims.length === 0 ? {} : { roleClaims: [...new Set([...claims, 'roles'])] }
}

const asymmetric = /^(?:RS|PS|ES)(?:256|384|512)$|^EdDSA$/

export function algorithmsOf (algorithms: Described | undefined): Record<string, Value> {
  const names = namesOf(algorithms)?.filter(name => asymmetric.test(name)) ?? []
  return names.length === 0 ? {} : { algorithms: names }
}

/** Above the cooldown of the suite, and up to what it takes. */
const [shortest, longest] = [30_000, 86_400_000]

/** How long keys are kept, in milliseconds. */
export function refreshOf (ttl: number | undefined): Record<string, Value> {
  return ttl === undefined || !(ttl >= shortest) || ttl > longest ? {} : { keys: { refresh: ttl } }
}

export const told: Readonly<Record<string, string>> = {
  cookie: 'tokens are read from `Authorization: Bearer` only: a cookie is sent by foreign pages too',
  namespace: 'there is one set of tokens; `issuers` lists several providers',
  decoratorName: 'the claims are `request.user`',
  messages: 'refusals are problem documents'
}

export function toldOf (options: DescribedObject, plugin: string): readonly string[] {
  return Object.entries(told).filter(([name]) => options[name] !== undefined && options[name] !== null)
    .map(([name, why]) => `\`${name}\` of ${plugin} is not carried over: ${why}`)
}

/** Of a value that only the environment can give. */
export function toSet (value: Value, text: string): readonly string[] {
  return typeof value === 'object' && '$code' in value ? [text] : []
}

export const setAudience = 'tokens must say who they are for: set SECURE_API_AUDIENCE'
export const setIssuer = 'tokens must say who made them: set SECURE_API_ISSUER'
