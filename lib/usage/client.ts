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
    const asksPolicies = needs !== undefined && needs.policies.length > 0
    for (const name of carried) {
      const count = this.scopes.get(name) ?? this.#open(name)
      if (count === undefined) continue
      count.carried += weight
      if (needs?.scopes.has(name) === true) count.needed += weight
      else if (asksPolicies) count.unread += weight
    }
    if (asksPolicies) this.unread += weight
  }

  seeRoute (index: number, weight: number): void {
    this.routes[index] = (this.routes[index] ?? 0) + weight
  }

  #open (name: string): ScopeCount | undefined {
    if (this.scopes.size >= mostScopes || this.#room.left <= 0 || name.length > longestName) {
      this.untracked = true
      return undefined
    }
    this.#room.left--
    const count = { carried: 0, needed: 0, unread: 0 }
    this.scopes.set(name, count)
    return count
  }
}
