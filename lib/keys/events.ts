import type { KeyFailure } from './explain.ts'
import type { DroppedKey, DropReason } from './import-keys.ts'
import type { KeyChange } from './key-set.ts'
import type { VerificationKey } from './types.ts'

type Kids = ReadonlyArray<string | undefined>

/** What happens to a key ring: for the log, the metrics and the audit trail. Holds no key material. */
export type KeyEvent =
  /** A usable set was fetched: the first one, or the first after a failure. */
  | { readonly type: 'keys.loaded', readonly issuer: string, readonly kids: Kids }
  /** A good set differs from the one before. Removed keys are refused from now on. */
  | { readonly type: 'keys.changed', readonly issuer: string, readonly added: Kids, readonly removed: Kids }
  /** A key of the document is not used. Told once for as long as the document keeps it. */
  | { readonly type: 'keys.dropped', readonly issuer: string, readonly kid: string | undefined, readonly reason: DropReason }
  /** An attempt failed; `usable` says whether a last good set bridges it. */
  | KeyFailure & { readonly type: 'keys.failed', readonly issuer: string, readonly usable: boolean }
  /** The last good set is older than `maxStale`: every key is refused from now on. `lastSuccess` is epoch milliseconds. */
  | { readonly type: 'keys.expired', readonly issuer: string, readonly lastSuccess: number }

export type KeyListener = (event: KeyEvent) => void

/** Tells the listener of one ring what is new, and nothing twice. */
export class KeyReporter {
  readonly #issuer: string
  readonly #listener: KeyListener
  #dropped: ReadonlySet<string> = new Set()

  constructor (issuer: string, listener: KeyListener) {
    this.#issuer = issuer
    this.#listener = listener
  }

  loaded (keys: readonly VerificationKey[]): void {
    this.#tell({ type: 'keys.loaded', issuer: this.#issuer, kids: kids(keys) })
  }

  changed ({ added, removed }: KeyChange): void {
    if (added.length + removed.length === 0) return
    this.#tell({ type: 'keys.changed', issuer: this.#issuer, added: kids(added), removed: kids(removed) })
  }

  dropped (dropped: readonly DroppedKey[]): void {
    const before = this.#dropped
    this.#dropped = new Set(dropped.map(({ kid, reason }) => `${reason} ${kid}`))
    for (const { kid, reason } of dropped) {
      if (!before.has(`${reason} ${kid}`)) this.#tell({ type: 'keys.dropped', issuer: this.#issuer, kid, reason })
    }
  }

  failed (failure: KeyFailure, usable: boolean): void {
    this.#tell({ type: 'keys.failed', issuer: this.#issuer, ...failure, usable })
  }

  expired (lastSuccess: number): void {
    this.#tell({ type: 'keys.expired', issuer: this.#issuer, lastSuccess })
  }

  /** A listener that throws must not cost the keys. */
  #tell (event: KeyEvent): void {
    try {
      this.#listener(event)
    } catch {}
  }
}

function kids (keys: readonly VerificationKey[]): Kids {
  return keys.map(({ kid }) => kid)
}
