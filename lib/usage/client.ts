import { hashesOf, type Hashes } from './hash.ts'
import type { Needs } from './needs.ts'

interface ScopeCount { carried: number, needed: number, unread: number }

/** How many names one client is kept with. */
const mostScopes = 200
/** A scope is at most this long here; RFC 6749 sets no bound. */
const longestName = 256

/** Names of scopes that all clients together may still be kept with. */
export interface Room { left: number }

export type ClientKind = 'client' | 'api-key' | 'unnamed' | 'others'

/** What the calls of one client carried and needed. */
export class ClientCount {
  readonly name: string
  readonly kind: ClientKind
  readonly issuer: string | undefined
  /** Callers of two clients, or of two issuers, are two callers whatever their names. */
  readonly seed: Hashes
  readonly #room: Room
  readonly #lists = new WeakMap<readonly string[], readonly ScopeCount[]>()
  readonly scopes = new Map<string, ScopeCount>()
  /** Calls by the index of their route. */
  readonly routes: number[] = []
  calls = 0
  forbidden = 0
  /** Calls whose route asks a policy that cannot be read. */
  unread = 0
  /** Whether there are scopes that found no room. */
  untracked = false

  constructor (kind: ClientKind, name: string, issuer: string | undefined, room: Room) {
    this.kind = kind
    this.name = name
    this.issuer = issuer
    this.seed = hashesOf(name, hashesOf(issuer ?? kind))
    this.#room = room
  }

  /**
   * @param carried without repetitions
   * @param needs undefined for a call that was refused: it needed nothing, as it got nothing
   */
  see (weight: number, carried: readonly string[], needs: Needs | undefined): void {
    this.calls += weight
    const counts = this.#countsOf(carried)
    for (const count of counts) count.carried += weight
    if (needs === undefined) return
    for (const name of needs.scopes) {
      const at = carried.indexOf(name)
      const count = at === -1 ? undefined : counts[at]
      if (count !== undefined) count.needed += weight
    }
    if (needs.policies.length === 0) return
    this.unread += weight
    for (const [index, count] of counts.entries()) if (!needs.scopes.has(carried[index] ?? '')) count.unread += weight
  }

  seeRoute (index: number, weight: number): void {
    this.routes[index] = (this.routes[index] ?? 0) + weight
  }

  /** In the order of the names. Calls with one token come with one list, which is looked up once. */
  #countsOf (names: readonly string[]): readonly ScopeCount[] {
    const known = this.#lists.get(names)
    if (known !== undefined) return known
    const counts = names.map(name => this.scopes.get(name) ?? this.#open(name))
    this.#lists.set(names, counts)
    return counts
  }

  #open (name: string): ScopeCount {
    if (this.scopes.size >= mostScopes || this.#room.left <= 0 || name.length > longestName) {
      this.untracked = true
      return { carried: 0, needed: 0, unread: 0 } // Counted for nobody.
    }
    this.#room.left--
    const count = { carried: 0, needed: 0, unread: 0 }
    this.scopes.set(name, count)
    return count
  }
}
