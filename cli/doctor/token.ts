import { Problems } from '../../lib/config/index.ts'
import type { Principal } from '../../lib/credentials/index.ts'
import { KeyRing, resolveKeysOptions, type KeysLocation } from '../../lib/keys/index.ts'
import {
  compileIssuer, isDevelopmentIssuer, readHeader, readPayload, splitCompact, TokenAuthenticator, validateIssuer,
  type IssuerOptions, type PresetName
} from '../../lib/tokens/index.ts'
import { Findings, type Examination } from './finding.ts'
import { presetOf } from './issuer.ts'
import { failuresOf, textsOf, type DecodedToken } from './token-failures.ts'
import { explain, graph, isForGraph, type Situation } from './token-words.ts'

export interface TokenQuestion {
  /** As it was given: a token, or a header line with one. */
  readonly text: string
  /** What the API expects. What is left out is taken from the token, and said to be. */
  readonly expected: Partial<Pick<IssuerOptions,
    'issuer' | 'audience' | 'preset' | 'algorithms' | 'profile' | 'tenants' | 'scopeClaims' | 'roleClaims'>>
  /** Where keys come from; without it the signature is not checked. */
  readonly keys: KeysLocation | undefined
  /** Milliseconds. */
  readonly now: number
}

/** Decodes a token and says what an API would answer, and why. The signature is never shown, and the token goes nowhere. */
export async function examineToken ({ text, expected, keys, now }: TokenQuestion): Promise<Examination> {
  const findings = new Findings()
  const decoded = decode(tokenIn(text), findings)
  if (decoded === undefined) return { title: 'token', findings: findings.list }
  const { header: Header, claims: Claims } = decoded
  const options = complete(expected, decoded, findings)
  const assumed = expected.issuer === undefined || expected.audience === undefined
  if (options !== undefined) await judge({ ...decoded, rules: compileIssuer(options), now }, assumed, keys, findings)
  checkLifetime(decoded, findings)
  return { title: 'token', findings: findings.list, details: { Header, Claims } }
}

/** People paste what they have: the whole header line, quotes, a token broken over lines. */
function tokenIn (text: string): string {
  return text.trim().replace(/^["']|["']$/g, '').replace(/^authorization\s*:/i, '').trim().replace(/^bearer\s+/i, '').replace(/\s+/g, '')
}

function decode (token: string, findings: Findings): DecodedToken | undefined {
  const parts = splitCompact(token)
  const header = parts && readHeader(parts.header)
  const claims = parts && readPayload(parts.payload)
  if (header !== undefined && claims !== undefined) {
    findings.ok('TOKEN_FORM', `a signed JWT of ${token.length} characters`)
    return { token, header, claims }
  }
  const [what, fix] = formFault(token)
  findings.error('TOKEN_FORM', what, fix)
  return undefined
}

function formFault (token: string): readonly [what: string, fix: string] {
  const dots = token.split('.').length - 1
  if (dots === 0) {
    return ['this is an opaque token, not a JWT',
      'Ask the issuer for a JWT: most give one only when a token for this API is asked for.']
  }
  if (dots === 4) return ['this is an encrypted token (JWE)', 'Have the issuer sign without encrypting.']
  return [`this is no signed JWT: ${dots + 1} parts, which must be three in base64url, JSON objects the first two`,
    'Check whether it was cut off or changed on the way.']
}

/** Without an expectation nothing can fail; the token's own word is taken, and named as that. */
function complete (expected: TokenQuestion['expected'], { claims }: DecodedToken, findings: Findings): IssuerOptions | undefined {
  const { issuer = textsOf(claims.iss)[0] } = expected
  const audience = expected.audience ?? textsOf(claims[expected.preset === 'cognito' ? 'client_id' : 'aud'])
  if (issuer === undefined || audience.length === 0) {
    findings.error('TOKEN_VERDICT', 'it has no issuer or no audience, and is refused everywhere',
      'Give --issuer and --audience as your API has them, and get another token.')
    return undefined
  }
  const preset = presetFor(issuer, expected, findings)
  const options = { ...expected, issuer, audience, ...(preset === undefined ? undefined : { preset }) }
  if (expected.issuer === undefined && !canBeConfigured(options, findings)) return undefined
  const taken = (['issuer', 'audience'] as const).filter(name => expected[name] === undefined)
  if (taken.length > 0) {
    findings.note('TOKEN_VERDICT',
    `${taken.join(' and ')} taken from the token itself; give --${taken.join(' and --')} as your API has them`)
  }
  return options
}

/** The provider is known by its address. What the API is said to have is left as it is: its verdict is asked for, not another one. */
function presetFor (issuer: string, { issuer: given, preset }: TokenQuestion['expected'], findings: Findings): PresetName | undefined {
  const known = presetOf(issuer)
  if (preset !== undefined || known === undefined) return preset
  if (given === undefined) findings.note('TOKEN_PRESET', `judged as with \`preset: '${known}'\`, which the address of the issuer suggests`)
  else {
    findings.warning('TOKEN_PRESET', `the address of the issuer is one of \`preset: '${known}'\`, which is not given`,
    `Configure \`preset: '${known}'\`, and give --preset ${known} here.`)
  }
  return given === undefined ? known : undefined
}

/** A token whose own issuer no API could be configured with is not accepted by any. */
function canBeConfigured (options: IssuerOptions, findings: Findings): boolean {
  const problems = new Problems()
  const development = isDevelopmentIssuer(options.issuer) ||
    /^http:\/\/(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])(?:[:/]|$)/.test(options.issuer)
  validateIssuer(options, 'auth', problems, { development })
  for (const { code, path, why, fix } of problems.list()) {
    findings.error('TOKEN_VERDICT',
    `no API starts with this issuer or audience: ${path}: ${why}`, fix, code)
  }
  return !problems.any
}

async function judge (situation: Situation, assumed: boolean, keys: KeysLocation | undefined, findings: Findings): Promise<void> {
  const failures = failuresOf(situation, situation.rules, situation.now)
  if (isForGraph(situation)) findings.error('TOKEN_CHECK', graph.what, graph.fix, 'Microsoft Graph')
  const [first] = failures
  if (first !== undefined) {
    findings.error('TOKEN_VERDICT', 'refused with 401',
      'See the checks below; the API reports the first one.', first)
  }
  for (const code of failures) {
    const { what, fix } = explain(code, situation)
    findings.error('TOKEN_CHECK', what, fix, code)
  }
  if (keys === undefined) {
    findings.warning('TOKEN_SIGNATURE', 'not checked',
      'Give --jwks with a file, or --fetch-keys to ask the issuer for its keys.')
  } else if (first !== undefined) findings.note('TOKEN_SIGNATURE', 'not checked: an API fetches no key once another check fails')
  else await verify(situation, assumed, keys, findings)
}

/** By the authenticator of the suite: its verdict is the server's. */
async function verify (situation: Situation, assumed: boolean, source: KeysLocation, findings: Findings): Promise<void> {
  const { rules, token, now } = situation
  const issuers = rules.map(entry => ({ rules: entry, keys: ringOf(entry, source) }))
  try {
    const outcome = await new TokenAuthenticator({ issuers, cache: false, now: () => now }).authenticate(token)
    if (outcome.kind === 'verified') return accepted(outcome.principal, assumed ? situation : undefined, findings)
    if (outcome.kind === 'unavailable') {
      return findings.error('TOKEN_VERDICT', 'the answer is 503: no signing keys are available',
        '`secure-api doctor issuer` says why.', outcome.code)
    }
    if (outcome.code === 'SECURE_API_CREDENTIAL_AMBIGUOUS') {
      return findings.error('TOKEN_VERDICT',
        'the answer is 400: characters that no token has', 'Send the token as the issuer gave it.', outcome.code)
    }
    const { what, fix } = explain(outcome.code, situation)
    findings.error('TOKEN_VERDICT', 'refused with 401', 'See the check below.', outcome.code)
    findings.error('TOKEN_CHECK', what, fix, outcome.code)
  } finally {
    for (const { keys } of issuers) keys.close()
  }
}

function ringOf ({ issuer, algorithms }: ReturnType<typeof compileIssuer>[number], source: KeysLocation): KeyRing {
  return new KeyRing({ issuer, source, algorithms, ...resolveKeysOptions(), allowLoopback: true })
}

/** Where the expectation is the token's own, nothing is said about the API that is meant. */
function accepted ({ kind, subject, client, scopes, roles }: Principal, assumed: Situation | undefined, findings: Findings): void {
  findings.ok('TOKEN_SIGNATURE', 'valid, by a key of the issuer')
  const [rules] = assumed?.rules ?? []
  if (rules === undefined) findings.ok('TOKEN_VERDICT', 'accepted')
  else {
    findings.note('TOKEN_VERDICT',
    `an API takes it if it has issuer ${rules.issuer} and audience ${[...rules.audience].join(' or ')}; whether yours has is not known`)
  }
  const parts = [`${kind} ${subject}`, `client ${client ?? 'unknown'}`,
    `scopes: ${[...scopes].join(' ') || 'none'}`, `roles: ${[...roles].join(', ') || 'none'}`]
  findings.note('TOKEN_PRINCIPAL', parts.join('; '))
}

const DAY = 86_400

function checkLifetime ({ claims: { exp, iat } }: DecodedToken, findings: Findings): void {
  if (typeof exp !== 'number' || typeof iat !== 'number') return
  const hours = Math.round((exp - iat) / 3600)
  if (exp - iat > DAY) {
    findings.warning('TOKEN_LIFETIME', `it is valid for ${hours} hours; a stolen one works as long`,
      'Have the issuer shorten the lifetime to minutes, or set `maxTokenAge`.')
  }
}
