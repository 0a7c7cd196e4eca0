import { isFunction, textOf } from './options.ts'
import type { Described, DescribedObject } from './types.ts'

const byClaims = '`auth.isRevoked` sees the claims of a token and can refuse it'

/** Options that refuse tokens. */
const refusing: Readonly<Record<string, string>> = {
  trusted: 'write it as `auth.isRevoked`',
  allowedSub: byClaims,
  allowedJti: byClaims,
  allowedNonce: byClaims,
  requiredClaims: byClaims,
  maxAge: 'write it as `auth.maxTokenAge`'
}

export const refusals = Object.keys(refusing)

/** What refused tokens, and does not any more: a person must write it anew. */
export function lostRefusals (options: DescribedObject, plugin: string): readonly string[] {
  return refusals.filter(name => options[name] !== undefined && options[name] !== null && !isAlways(options[name]))
    .map(name => `\`${name}\` of ${plugin} refuses tokens, and is not carried over: ${refusing[name] ?? byClaims}`)
}

/** Claims that the suite requires of every token. */
const always: readonly unknown[] = ['iss', 'aud', 'exp']

function isAlways (value: Described | undefined): boolean {
  return Array.isArray(value) && value.every(item => always.includes(item))
}

/** A check may rely on what `formatUser` puts into `request.user`. */
export function lostUser ({ formatUser }: DescribedObject, plugin: string): readonly string[] {
  const why = 'see that no check relies on it, since `request.user` holds the claims of the token as they are'
  return isFunction(formatUser) ? [`\`formatUser\` of ${plugin} is not carried over: ${why}`] : []
}

/** The suite has a section for each issuer. */
export function lostIssuers (issuer: Described | undefined): readonly string[] {
  if (issuer === undefined || issuer === null || textOf(issuer) !== undefined) return []
  return ['tokens of several issuers were accepted: write each in `auth.issuers`, with its audience']
}
