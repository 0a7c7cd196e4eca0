import type { ImportedKey } from './import-keys.ts'
import type { Algorithm, VerificationKey } from './types.ts'

/** How many keys of one `kid` are tried for a token; each costs a signature check. */
const MAX_CANDIDATES = 4

const none: readonly VerificationKey[] = Object.freeze([])

/** One object for as long as the key is published. */
type RingKey = ImportedKey & { active: boolean }

/** The keys of one document, found without allocating. A key that was in the set before keeps its object. */
export class KeySet {
  readonly keys: readonly VerificationKey[]
  /** The difference to the set before. */
  readonly change: { readonly added: readonly VerificationKey[], readonly removed: readonly VerificationKey[] }
  readonly #byIdentity: ReadonlyMap<string, RingKey>
  readonly #byAlgorithm = new Map<Algorithm, Candidates>()

  constructor (imported: readonly ImportedKey[], previous?: KeySet) {
    const before = previous === undefined ? new Map<string, RingKey>() : previous.#byIdentity
    this.#byIdentity = new Map(imported.map(key => [key.identity, before.get(key.identity) ?? { ...key, active: true }]))
    this.keys = Object.freeze([...this.#byIdentity.values()])
    this.change = {
      added: this.keys.filter(key => previous?.keys.includes(key) !== true),
      removed: [...before.values()].filter(key => !this.#byIdentity.has(key.identity))
    }
    for (const key of this.keys) for (const algorithm of key.algorithms) this.#candidates(algorithm).add(key)
  }

  /**
   * The keys to try, in the document's order: those with that very `kid`; for a token without one the only key that
   * fits, and none when several do, because trying all of them would let the sender choose.
   */
  select (kid: string | undefined, algorithm: Algorithm): readonly VerificationKey[] {
    return this.#byAlgorithm.get(algorithm)?.select(kid) ?? none
  }

  /** Ends trust in the keys that `successor` lacks, or in all keys without one. */
  retire (successor?: KeySet): void {
    for (const [identity, key] of this.#byIdentity) {
      if (successor === undefined || !successor.#byIdentity.has(identity)) key.active = false
    }
  }

  #candidates (algorithm: Algorithm): Candidates {
    const known = this.#byAlgorithm.get(algorithm) ?? new Candidates()
    this.#byAlgorithm.set(algorithm, known)
    return known
  }
}

/** The keys that fit one algorithm. */
class Candidates {
  readonly #byKid = new Map<string, readonly VerificationKey[]>()
  #only: readonly VerificationKey[] | undefined

  add (key: VerificationKey): void {
    this.#only = this.#only === undefined ? Object.freeze([key]) : none
    if (key.kid === undefined) return
    const same = this.#byKid.get(key.kid) ?? none
    if (same.length < MAX_CANDIDATES) this.#byKid.set(key.kid, Object.freeze([...same, key]))
  }

  select (kid: string | undefined): readonly VerificationKey[] | undefined {
    return kid === undefined ? this.#only : this.#byKid.get(kid)
  }
}
