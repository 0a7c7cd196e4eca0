import { isThenable } from '../async/index.ts'
import type { AuditEvent } from './event.ts'
import type { AuditSink } from './options.ts'

interface TrailOptions {
  readonly sink: AuditSink
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
      const settling: unknown = this.#options.sink(event)
      if (isThenable(settling)) this.#wait(Promise.resolve(settling))
      else this.#note(false)
    } catch (error) {
      this.#note(true, error)
    }
  }

  /** Resolves when no event is pending, or after `ms`, with the number of pending events. */
  async drain (ms: number): Promise<number> {
    if (this.#pending === 0) return 0
    await new Promise<void>(resolve => {
      const timer = setTimeout(resolve, ms)
      this.#whenIdle.push(() => { clearTimeout(timer); resolve() })
    })
    return this.#pending
  }

  status (): { recorded: number, dropped: number, pending: number, failing: boolean } {
    return { recorded: this.recorded, dropped: this.dropped, pending: this.#pending, failing: this.#failing }
  }

  #wait (settling: Promise<unknown>): void {
    this.#pending++
    settling.then(() => this.#note(false), error => this.#note(true, error)).finally(() => {
      this.#pending--
      if (this.#pending > 0) return
      for (const idle of this.#whenIdle.splice(0)) idle()
    })
  }

  #note (failing: boolean, error?: unknown): void {
    if (failing) this.dropped++
    else this.recorded++
    if (this.#failing === failing) return
    this.#failing = failing
    this.#options.onChange(failing, error)
  }
}
