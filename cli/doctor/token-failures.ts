import type { TokenFailureCode } from '../../lib/http/index.ts'
import { algorithms } from '../../lib/keys/index.ts'
import { checkSigned, createGate, type IssuerRules } from '../../lib/tokens/index.ts'

export type Claims = Readonly<Record<string, unknown>>

export interface DecodedToken {
  readonly token: string
  readonly header: Claims
  readonly claims: Claims
}

/** What the gate is compiled from. */
interface GateState {
  readonly rules: ReadonlyMap<string, IssuerRules>
  readonly now: number
  readonly maxBytes: number | undefined
}

/**
 * Every check before the signature that a token fails, by the gate of the suite itself: what the gate refuses is
 * allowed, and the gate is asked again. The first one is what an API would answer.
 */
export function failuresOf (decoded: DecodedToken, rules: readonly IssuerRules[], now: number): TokenFailureCode[] {
  const found: TokenFailureCode[] = []
  let state: GateState | undefined = { rules: new Map(rules.map(entry => [entry.issuer, entry])), now, maxBytes: undefined }
  while (state !== undefined) {
    const result = createGate(state.rules, state.maxBytes)(decoded.token, state.now)
    const code: TokenFailureCode | undefined = typeof result === 'string'
      ? result
      : checkSigned({ ...result, rules: originalOf(result.rules, rules) })
    if (code === undefined || found.includes(code)) break
    found.push(code)
    state = typeof result === 'string' ? relaxations[code]?.(state, decoded) : undefined
  }
  return found
}

/** A profile that was relaxed still asks for its claims. */
function originalOf (relaxed: IssuerRules, rules: readonly IssuerRules[]): IssuerRules {
  return rules.find(({ issuer }) => issuer === relaxed.issuer) ?? relaxed
}

type Relaxation = (state: GateState, decoded: DecodedToken) => GateState | undefined

const farFuture = 253_402_300_799_000

/** How the gate is made to let one mistake pass. Codes that are not here end the search: behind them nothing can be read. */
const relaxations: Partial<Record<TokenFailureCode, Relaxation>> = {
  SECURE_API_TOKEN_TOO_LARGE: (state, { token }) => ({ ...state, maxBytes: token.length }),
  SECURE_API_TOKEN_ALGORITHM: (state, { header }) => {
    const known = algorithms.find(name => name === header.alg)
    return known && changed(state, () => ({ algorithms: [known] }))
  },
  SECURE_API_TOKEN_ISSUER: (state, { claims: { iss } }) => {
    const [first] = state.rules.values()
    return typeof iss === 'string' && first !== undefined
      ? { ...state, rules: new Map([[iss, { ...first, tenant: undefined }]]) }
      : undefined
  },
  SECURE_API_TOKEN_TYPE: state => changed(state, () => ({ profile: 'any', tokenUse: undefined, nonce: 'allowed' })),
  SECURE_API_TOKEN_EXPIRED: (state, { claims }) => ({ ...state, now: earlier(claims) }),
  SECURE_API_TOKEN_NOT_YET_VALID: state => changed(state, () => ({ clockTolerance: farFuture })),
  SECURE_API_TOKEN_TOO_OLD: state => changed(state, () => ({ maxTokenAge: Infinity })),
  SECURE_API_TOKEN_AUDIENCE: (state, { claims }) => changed(state,
    ({ audienceClaim }) => ({ audience: new Set(textsOf(claims[audienceClaim])) }))
}

function changed (state: GateState, change: (rules: IssuerRules) => Partial<IssuerRules>): GateState {
  return { ...state, rules: new Map([...state.rules].map(([issuer, rules]) => [issuer, { ...rules, ...change(rules) }])) }
}

/** A moment at which the token had not expired. */
function earlier ({ exp }: Claims): number {
  return typeof exp === 'number' ? (exp - 1) * 1000 : 0
}

export function textsOf (value: unknown): string[] {
  return (Array.isArray(value) ? value : [value]).filter(member => typeof member === 'string')
}
