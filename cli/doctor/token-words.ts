import { answers, type TokenFailureCode } from '../../lib/http/index.ts'
import type { Algorithm } from '../../lib/keys/index.ts'
import { checkSigned, createGate, subjectOf, type IssuerRules } from '../../lib/tokens/index.ts'
import { textsOf, type DecodedToken } from './token-failures.ts'

export interface Situation extends DecodedToken {
  readonly rules: readonly IssuerRules<Algorithm>[]
  /** Milliseconds. */
  readonly now: number
}

export interface Explanation {
  readonly what: string
  readonly fix: string
}

type Explain = (situation: Situation) => Explanation

const explanations: Partial<Record<TokenFailureCode, Explain>> = {
  SECURE_API_TOKEN_TOO_LARGE: ({ token }) => ({
    what: `it has ${token.length} characters, and 8192 are accepted`,
    fix: 'Have the issuer leave out groups or roles that this API does not need.'
  }),
  SECURE_API_TOKEN_ALGORITHM: ({ header: { alg }, rules }) => ({
    what: `alg is ${show(alg)}; accepted: ${accepted(rules,
    entry => entry.algorithms)}`,
    fix: 'Have the issuer sign with one of those, or add it to `algorithms` if it is asymmetric.'
  }),
  SECURE_API_TOKEN_CRITICAL: () => ({
    what: 'the header has `crit`, or a payload that is not encoded',
    fix: 'Have the issuer leave out extensions that must be understood.'
  }),
  SECURE_API_TOKEN_TYPE: ({ header: { typ }, claims }) =>
    ({
      what: `typ is ${show(typ)}${marksOf(claims)}: this is no access token`,
      fix: 'Send the access token, not the ID token; under `profile: \'at+jwt\'` the type must be at+jwt.'
    }),
  SECURE_API_TOKEN_ISSUER: ({ claims: { iss }, rules }) => ({
    what: `iss is ${show(iss)}; accepted: ${accepted(rules,
    entry => [entry.issuer])}`,
    fix: 'Configure `issuer` exactly as it stands in the token; every character counts.'
  }),
  SECURE_API_TOKEN_AUDIENCE: ({ claims, rules }) => {
    const claim = audienceClaim(rules)
    return {
      what: `${claim} is ${show(claims[claim])}; accepted: ${accepted(rules, entry => [...entry.audience])}`,
      fix: 'Have the client ask for a token for this API (scope, audience or resource parameter), or correct `audience`.'
    }
  },
  SECURE_API_TOKEN_AUDIENCE_MISSING: ({ rules }) =>
    ({
      what: `it has no ${audienceClaim(rules)}; accepted: ${accepted(rules, entry => [...entry.audience])}`,
      fix: 'Have the issuer write one for this API, or say with `audienceClaim` which claim stands for it.'
    }),
  SECURE_API_TOKEN_EXPIRED: ({ claims: { exp }, now }) => ({
    what: `exp was ${instant(exp)}, ${distance(exp,
    now)} ago`,
    fix: 'Get a new token.'
  }),
  SECURE_API_TOKEN_NOT_YET_VALID: ({ claims: { nbf, iat }, now }) =>
    ({
      what: `nbf is ${instant(nbf)}, iat is ${instant(iat)}, and it is ${new Date(now).toISOString()}`,
      fix: 'Set the clocks by NTP, or raise `clockTolerance`.'
    }),
  SECURE_API_TOKEN_TOO_OLD: ({ claims: { iat }, now }) => ({
    what: `iat was ${instant(iat)}, ${distance(iat,
    now)} ago`,
    fix: 'Get a new token, or raise `maxTokenAge`.'
  }),
  SECURE_API_TOKEN_CLAIMS: situation => ({
    what: `${faultsOf(situation).join('; ')}. Present: ${Object.keys(situation.claims).join(', ')}`,
    fix: 'Have the issuer write them as RFC 9068 says. `profile: \'any\'` does without client_id, iat and jti, and in a service\'s ' +
      'token without sub.'
  }),
  SECURE_API_TOKEN_BOUND: () => ({ what: 'it has `cnf`: it is bound to a key (DPoP or mutual TLS)', fix: 'Ask for a plain bearer token.' }),
  SECURE_API_TOKEN_KEY: ({ header: { kid } }) => ({
    what: `no key ${show(kid)} for its algorithm is in the key set`,
    fix: 'Has the issuer removed the key, or is this a token of another environment? `secure-api doctor issuer` lists the keys.'
  }),
  SECURE_API_TOKEN_SIGNATURE: () => ({
    what: 'the key that it names did not make this signature',
    fix: 'The token was changed or forged, or is signed by another issuer with the same kid.'
  })
}

/** Claims whose type, or presence, is checked, each with a value that passes. */
const sound = (now: number): Readonly<Record<string, unknown>> => {
  const seconds = Math.floor(now / 1000)
  return {
    exp: seconds + 60,
    nbf: seconds,
    iat: seconds,
    ...Object.fromEntries(['sub', 'jti', 'client_id', 'sid', 'azp', 'cid', 'appid', 'tid'].map(name => [name, 'x']))
  }
}

/** The claims at fault, by the checks of the suite: a token with sound claims is given each of these claims back, one at a time. */
function faultsOf ({ header, claims, rules, now }: Situation): string[] {
  const [first] = rules
  if (first === undefined) return []
  const fits = sound(now)
  const fails = (changed: Record<string, unknown>) => {
    const relaxed = { ...first, tokenUse: undefined, profile: 'any', tenant: undefined } as const
    const audience = { [first.audienceClaim]: [...first.audience][0] }
    const kid = typeof header.kid === 'string' ? { kid: header.kid } : undefined
    const token = unsigned({ alg: first.algorithms[0], typ: 'at+jwt', ...kid }, { iss: first.issuer, ...changed, ...audience })
    const result = createGate(new Map([[first.issuer, relaxed]]), token.length)(token, now)
    return (typeof result === 'string' ? result : checkSigned({ ...result, rules: first })) === 'SECURE_API_TOKEN_CLAIMS'
  }
  const faults = Object.keys(fits).filter(name => {
    const { [name]: _sound, ...others } = fits
    return fails(Object.hasOwn(claims, name) ? { ...others, [name]: claims[name] } : others)
  })
  // Sound claims name a client, which stands in for a subject.
  if (!faults.includes('sub') && subjectOf(claims, first) === undefined) faults.push('sub')
  return faults.map(name => Object.hasOwn(claims, name) ? `${name} is ${JSON.stringify(claims[name])}` : `${name} is absent`)
}

/** A token whose signature is of the right form only. */
function unsigned (header: object, claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${part(header)}.${part(claims)}.AA`
}

/** Microsoft Graph, by its name and by its id. */
const graphAudiences: ReadonlySet<unknown> = new Set(['https://graph.microsoft.com', 'https://graph.microsoft.com/',
  '00000003-0000-0000-c000-000000000000'])

/** Its tokens are signed with a changed header (`nonce`): nobody but Graph can check them, whatever keys he has. */
export function isForGraph ({ header, claims: { aud, iss } }: DecodedToken): boolean {
  return graphAudiences.has(aud) || (Object.hasOwn(header,
    'nonce') && typeof iss === 'string' && /microsoftonline|sts\.windows\.net/.test(iss))
}

export const graph: Explanation = {
  what: 'it is a token for Microsoft Graph: its signature can be checked by Graph only, and every API of your own refuses it',
  fix: 'Have the client ask for a scope of this API, `api://<client id>/<scope>` or `api://<client id>/.default`, ' +
    'instead of `User.Read` or another one of Graph.'
}

export function explain (code: TokenFailureCode, situation: Situation): Explanation {
  return explanations[code]?.(situation) ?? { what: answers[code].detail, fix: 'Get a new token from the issuer.' }
}

function audienceClaim ([rules]: readonly IssuerRules[]): string {
  return rules?.audienceClaim ?? 'aud'
}

function accepted (rules: readonly IssuerRules[], of: (rules: IssuerRules) => readonly string[]): string {
  return [...new Set(rules.flatMap(of))].join(', ')
}

function marksOf (claims: Situation['claims']): string {
  const marks = ['nonce', 'at_hash', 'c_hash', 's_hash', 'events', 'token_use', 'typ'].filter(name => Object.hasOwn(claims, name))
  return marks.length === 0 ? '' : ` and it has ${marks.join(', ')}`
}

function show (value: unknown): string {
  if (value === undefined) return 'absent'
  return Array.isArray(value) ? textsOf(value).join(', ') : String(value)
}

const LAST_DATE = 8_640_000_000_000

function instant (seconds: unknown): string {
  if (typeof seconds !== 'number') return 'absent'
  return Math.abs(seconds) <= LAST_DATE ? new Date(seconds * 1000).toISOString() : 'beyond any calendar; was it written in milliseconds?'
}

function distance (seconds: unknown, now: number): string {
  const away = Math.round(Math.abs(now / 1000 - Number(seconds)))
  if (away < 120) return `${away} seconds`
  return away < 7200
    ? `${Math.round(away / 60)} minutes`
    : away < 172_800
      ? `${Math.round(away / 3600)} hours`
      : `${Math.round(away / 86_400)} days`
}
