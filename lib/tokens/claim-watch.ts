import type { UncheckedClaims } from './claims.ts'
import { rolesAt, scopesAt } from './principal.ts'
import type { IssuerRules, StatedClaim } from './rules.ts'

/** A configured claim that yielded nothing. */
export interface UnmatchedClaim {
  readonly issuer: string
  readonly option: StatedClaim['option']
  readonly claim: string
  /** The number of verified tokens examined. */
  readonly tokens: number
}

interface Watch {
  tokens: number
  readonly unmatched: Set<StatedClaim>
}

/**
 * Reports, once, each configured scope or role claim that yielded nothing in `after` verified tokens: it is misspelt, or of
 * a form that cannot be read. The only other symptom is 403.
 */
export class ClaimWatch {
  readonly #after: number
  readonly #tell: (unmatched: UnmatchedClaim) => void
  /** By the entry of the configuration, so that its tenants count together. */
  readonly #watches = new Map<readonly StatedClaim[], Watch>()

  constructor (after: number, tell: (unmatched: UnmatchedClaim) => void) {
    this.#after = after
    this.#tell = tell
  }

  /** Examines the claims of a token that has just been verified. */
  see (claims: UncheckedClaims, { issuer, stated }: Pick<IssuerRules, 'issuer' | 'stated'>): void {
    if (stated.length === 0) return
    const watch = this.#watchOf(stated)
    if (watch.unmatched.size === 0) return
    watch.tokens++
    for (const claim of watch.unmatched) if (gives(claims, claim)) watch.unmatched.delete(claim)
    if (watch.tokens < this.#after) return
    for (const { option, claim } of watch.unmatched) this.#tell({ issuer, option, claim, tokens: watch.tokens })
    watch.unmatched.clear()
  }

  #watchOf (stated: readonly StatedClaim[]): Watch {
    const known = this.#watches.get(stated)
    if (known !== undefined) return known
    const watch = { tokens: 0, unmatched: new Set(stated) }
    this.#watches.set(stated, watch)
    return watch
  }
}

function gives (claims: UncheckedClaims, { option, paths }: StatedClaim): boolean {
  const read = option === 'roleClaims' ? rolesAt : scopesAt
  return paths.some(path => read(claims, path).length > 0)
}
