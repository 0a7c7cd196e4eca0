import { isThenable, withDeadline } from '../async/index.ts'
import type { AuditEvent } from './event.ts'

/** Where the events of a trail go. */
export interface Destination {
  /** A promise marks the event as pending until it settles. */
  write (event: AuditEvent): unknown
  /** Writes what is kept back, and lets go of files and connections. */
  close? (): Promise<void>
  /** What the sink says of itself. */
  status? (): object
}

interface TrailOptions {
  readonly destination: Destination
  readonly buffer: number
  /** Called once when the sink begins to fail and once when it works again. */
  readonly onChange: (failing: boolean, error?: unknown) => void
}

/** Passes events to the sink and bounds the pending ones. A failing sink never affects the request. */
export class Trail {
  readonly #options: TrailOptions
  #pending = 0
  #failing = false
  #whenIdle: Array<() => void> = []
  /** A sink that writes many events at once answers them with one promise. */
  #batch: Batch | undefined
  recorded = 0
  dropped = 0

  constructor (options: TrailOptions) {
    this.#options = options
  }

  /** Whether the next event may be lost: the buffer is full, or the sink failed the last time it was asked. */
  get unreliable (): boolean {
    return this.full || this.#failing
  }

  /** Whether no more event fits. */
  get full (): boolean {
    return this.#pending >= this.#options.buffer
  }

  record (event: AuditEvent): void {
    if (this.full) return this.#note(true, new Error('the audit buffer is full'))
    try {
      const settling: unknown = this.#options.destination.write(event)
      if (isThenable(settling)) this.#wait(settling)
      else this.#note(false)
    } catch (error) {
      this.#note(true, error)
    }
  }

  /** Resolves when no event is pending and the destination is closed, or after `ms`, with the number of pending events. */
  async close (ms: number): Promise<number> {
    // What is late is counted, not thrown.
    await withDeadline(this.#finish(), { ms, late: () => new Error('late') }).catch(() => {})
    return this.#pending
  }

  async #finish (): Promise<void> {
    const settled = this.#pending === 0 ? undefined : new Promise<void>(resolve => { this.#whenIdle.push(resolve) })
    // It may keep back what has not been settled until it is asked to end.
    const closed = this.#options.destination.close?.()
    await Promise.all([settled, closed?.catch(error => { this.#tell(true, error) })])
  }

  status (): { recorded: number, dropped: number, pending: number, failing: boolean, file?: object } {
    const file = this.#options.destination.status?.()
    const { recorded, dropped } = this
    return { recorded, dropped, pending: this.#pending, failing: this.#failing, ...(file !== undefined && { file }) }
  }

  #wait (settling: PromiseLike<unknown>): void {
    this.#pending++
    if (this.#batch?.settling === settling) {
      this.#batch.events++
      return
    }
    const batch = this.#batch = { settling, events: 1 }
    Promise.resolve(settling).then(() => this.#settle(batch, false), error => this.#settle(batch, true, error))
  }

  #settle (batch: Batch, failing: boolean, error?: unknown): void {
    if (this.#batch === batch) this.#batch = undefined
    this.#note(failing, error, batch.events)
    this.#pending -= batch.events
    if (this.#pending > 0) return
    for (const idle of this.#whenIdle.splice(0)) idle()
  }

  #note (failing: boolean, error?: unknown, events = 1): void {
    if (failing) this.dropped += events
    else this.recorded += events
    if (this.#failing === failing) return
    this.#failing = failing
    this.#tell(failing, error)
  }

  /** It writes to a logger, which may be the sink that fails. Nobody could catch what it throws. */
  #tell (failing: boolean, error: unknown): void {
    try {
      this.#options.onChange(failing, error)
    } catch {}
  }
}

interface Batch {
  readonly settling: PromiseLike<unknown>
  events: number
}
