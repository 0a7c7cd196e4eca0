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

/** Reports, once, each claim that yielded nothing in `after` verified tokens: misspelt, or unreadable. The only other symptom is 403. */
export class ClaimWatch {
  readonly #after: number
  readonly #tell: (unmatched: UnmatchedClaim) => void
  /** By the entry of the configuration, so that its tenants count together. */
  readonly #watches = new Map<readonly StatedClaim[], { tokens: number, readonly unmatched: Set<StatedClaim> }>()

  constructor (after: number, tell: (unmatched: UnmatchedClaim) => void) {
    this.#after = after
    this.#tell = tell
  }

  /** Examines the claims of a token that has just been verified. */
  see (claims: UncheckedClaims, { issuer, stated }: Pick<IssuerRules, 'issuer' | 'stated'>): void {
    if (stated.length === 0) return
    const watch = this.#watches.get(stated) ?? { tokens: 0, unmatched: new Set(stated) }
    this.#watches.set(stated, watch)
    if (watch.unmatched.size === 0) return
    watch.tokens++
    for (const claim of watch.unmatched) if (gives(claims, claim)) watch.unmatched.delete(claim)
    if (watch.tokens < this.#after) return
    for (const { option, claim } of watch.unmatched) this.#tell({ issuer, option, claim, tokens: watch.tokens })
    watch.unmatched.clear()
  }
}

function gives (claims: UncheckedClaims, { option, paths }: StatedClaim): boolean {
  const read = option === 'roleClaims' ? rolesAt : scopesAt
  return paths.some(path => read(claims, path).length > 0)
}
