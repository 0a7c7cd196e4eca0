import { scheduleTimer, withDeadline, type Schedule } from '../async/index.ts'

/** A key that was used since the last report. */
export interface ApiKeyUse {
  readonly id: string
  readonly lastUsed: Date
  /** Where the last request came from. */
  readonly address: string | undefined
  /** How many requests. */
  readonly count: number
}

export interface UsageOptions {
  readonly onUse: (uses: readonly ApiKeyUse[]) => unknown
  readonly onFailure: (error: unknown) => void
  readonly schedule?: Schedule | undefined
}

const PERIOD = 60_000
/** Keys in one report. Those beyond are reported when they are used again. */
const MOST = 100_000
/** How long the last report may hold up the end of the application. */
const LAST = 2000

interface Counted { lastUsed: number, address: string | undefined, count: number }

/** Counts uses, and reports them together. */
export class Usage {
  readonly #options: UsageOptions
  #uses = new Map<string, Counted>()
  #cancel: (() => void) | undefined

  constructor (options: UsageOptions) {
    this.#options = options
  }

  /** Keys that wait for the next report. */
  get size (): number {
    return this.#uses.size
  }

  count (id: string, address: string | undefined, now: number): void {
    const known = this.#uses.get(id)
    if (known !== undefined) {
      known.lastUsed = now
      known.address = address
      known.count++
    } else if (this.#uses.size < MOST) this.#uses.set(id, { lastUsed: now, address, count: 1 })
    this.#cancel ??= (this.#options.schedule ?? scheduleTimer)(() => { this.#report() }, PERIOD)
  }

  /** Reports the rest. Never rejects. */
  async close (): Promise<void> {
    const late = () => new Error(`\`onUse\` did not end within ${LAST} ms`)
    await withDeadline(this.#report(), { ms: LAST, late }).catch(this.#options.onFailure)
  }

  async #report (): Promise<void> {
    this.#cancel?.()
    this.#cancel = undefined
    const uses = [...this.#uses].map(([id, { lastUsed, ...rest }]) => ({ id, lastUsed: new Date(lastUsed), ...rest }))
    this.#uses = new Map()
    if (uses.length === 0) return
    try {
      await this.#options.onUse(uses)
    } catch (error) {
      this.#options.onFailure(error)
    }
  }
}
