interface Former {
  readonly text: string
  readonly until: number
}

/** Whoever changes a secret in every minute must not make it last for ever: the oldest of more ends early. */
const MOST_FORMER = 3

/** The values of a secret that are good now. Times are milliseconds since the epoch. */
export class Rotation {
  #current: string
  /** Accepted, and not used yet. */
  #coming: { readonly text: string, readonly at: number } | undefined
  #former: Former[] = []

  constructor (text: string) {
    this.#current = text
  }

  get current (): string {
    return this.#current
  }

  /** The one to use first, then the others. */
  get values (): readonly string[] {
    return [this.#current, ...(this.#coming === undefined ? [] : [this.#coming.text]), ...this.#former.map(({ text }) => text)]
  }

  /** The newest value that was accepted. */
  get newest (): string {
    return this.#coming?.text ?? this.#current
  }

  /** When something changes next by itself. */
  get next (): number {
    return Math.min(this.#coming?.at ?? Infinity, ...this.#former.map(({ until }) => until))
  }

  /** When the last of the others ends, as far as that is known. */
  get until (): number | undefined {
    return this.#former.length === 0 ? undefined : Math.max(...this.#former.map(({ until }) => until))
  }

  /** Takes a new value, which is used after `lead`. The old one stays good for `overlap` from then on. */
  change (text: string, now: number, { lead, overlap }: { readonly lead: number, readonly overlap: number }): void {
    const skipped = this.#coming
    this.#coming = lead > 0 && text !== this.#current ? { text, at: now + lead } : undefined
    if (lead === 0) this.#use(text, now, overlap)
    // It must not sign: who has missed it does not know it. Who has seen it before may have signed with it.
    if (skipped !== undefined) this.#former = this.#with({ text: skipped.text, until: now + lead + overlap }, now)
  }

  /** Lets pass what has passed. True if anything has. */
  pass (now: number, overlap: number): boolean {
    const due = this.next <= now
    if (this.#coming !== undefined && this.#coming.at <= now) this.#use(this.#coming.text, now, overlap)
    this.#former = this.#former.filter(({ until }) => until > now)
    return due
  }

  #use (text: string, now: number, overlap: number): void {
    this.#coming = undefined
    if (text === this.#current) return
    const before = { text: this.#current, until: now + overlap }
    this.#current = text
    this.#former = this.#with(before, now)
  }

  #with (newest: Former, now: number): Former[] {
    return [newest, ...this.#former.filter(({ text }) => text !== newest.text)]
      .filter(({ text, until }) => text !== this.#current && until > now).slice(0, MOST_FORMER)
  }
}
