import { scheduleTimer, withDeadline, type Schedule } from '../async/index.ts'
import { nextStanding, type Standing } from './standing.ts'

/** Nothing: all is well. A sentence: what is wrong, without secrets, addresses and names of hosts. */
export type HealthCheck = () => string | undefined | Promise<string | undefined>

/** One check as operators see it. `warn`: it fails, and does not count: not yet, or never (`advisory`). */
export interface CheckReport {
  readonly status: 'pass' | 'warn' | 'fail'
  /** Since when it passes or fails, ISO 8601. */
  readonly since: string
  readonly why?: string
}

export interface HealthReport {
  readonly status: 'pass' | 'fail'
  readonly checks: Readonly<Record<string, CheckReport>>
}

export interface HealthBoardOptions {
  /** Read at each evaluation: controls may be added until everything is ready. */
  readonly checks: () => Iterable<readonly [name: string, check: HealthCheck]>
  readonly advisory?: readonly string[]
  /** Milliseconds. */
  readonly failAfter: number
  readonly timeout: number
  /** Milliseconds since the epoch. */
  readonly now?: (() => number) | undefined
  /** Monotonic milliseconds. */
  readonly elapsed?: (() => number) | undefined
  readonly schedule?: Schedule | undefined
  /** Called when the status changes, and for the first one if that is bad. */
  readonly onChange?: (report: HealthReport) => void
  /** What a check threw. */
  readonly onError?: (name: string, error: unknown) => void
}

/** For how long a result is used again: probes, and whoever else asks, cannot cause more work than this. */
export const FRESH = 1000

/** Asks all checks at most once a second, whoever asks how often, and remembers how each one stands. */
export class HealthBoard {
  readonly #options: HealthBoardOptions
  readonly #now: () => number
  readonly #elapsed: () => number
  readonly #standings = new Map<string, Standing & { readonly why: string | undefined }>()
  /** Checks that have not answered: none is asked twice at once. */
  readonly #running = new Map<string, Promise<string | undefined>>()
  readonly #threw = new Set<string>()
  #askedAt = -Infinity
  #evaluating: Promise<void> | undefined
  #status: HealthReport['status'] = 'pass'
  #closingSince: number | undefined

  constructor (options: HealthBoardOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
    this.#elapsed = options.elapsed ?? (() => performance.now())
  }

  /** From now on the answer is no, whatever the checks say. */
  close (): void {
    this.#closingSince ??= this.#elapsed()
  }

  /** The state now: of this moment, or up to a second old. Never rejects. */
  async report (): Promise<HealthReport> {
    if (this.#closingSince === undefined && this.#evaluating === undefined && this.#elapsed() - this.#askedAt >= FRESH) {
      this.#askedAt = this.#elapsed()
      this.#evaluating = this.#evaluate().finally(() => { this.#evaluating = undefined })
    }
    await this.#evaluating
    return this.status()
  }

  /** What is known, without asking. */
  status (): HealthReport {
    const checks = Object.fromEntries([...this.#standings].map(([name, standing]) => [name, this.#shown(name, standing)]))
    if (this.#closingSince !== undefined) checks['closing'] = this.#line('fail', this.#closingSince, 'the server closes')
    return { status: Object.values(checks).some(({ status }) => status === 'fail') ? 'fail' : 'pass', checks }
  }

  #shown (name: string, { good, since, badSince, why }: Standing & { readonly why: string | undefined }): CheckReport {
    if (good) return badSince === undefined ? this.#line('pass', since) : this.#line('warn', badSince, why)
    return this.#line(this.#options.advisory?.includes(name) === true ? 'warn' : 'fail', since, why)
  }

  #line (status: CheckReport['status'], since: number, why?: string): CheckReport {
    const at = new Date(this.#now() - (this.#elapsed() - since)).toISOString()
    return { status, since: at, ...(why !== undefined && { why }) }
  }

  async #evaluate (): Promise<void> {
    const asked = [...this.#options.checks()].map(async ([name, check]) => [name, await this.#ask(name, check)] as const)
    for (const [name, why] of await Promise.all(asked)) {
      const standing = nextStanding(this.#standings.get(name), why === undefined, this.#elapsed(), this.#options.failAfter)
      this.#standings.set(name, { ...standing, why })
    }
    const report = this.status()
    if (report.status === this.#status) return
    this.#status = report.status
    this.#options.onChange?.(report)
  }

  /** Never rejects. What a check throws may hold anything, so it is told in the log alone, once until the check answers again. */
  async #ask (name: string, check: HealthCheck): Promise<string | undefined> {
    const { timeout, schedule = scheduleTimer } = this.#options
    const late = new Error(`no answer within ${timeout} ms`)
    try {
      const why = await withDeadline(this.#run(name, check), { ms: timeout, late: () => late, schedule })
      this.#threw.delete(name)
      return why
    } catch (error) {
      if (error === late) return late.message
      if (!this.#threw.has(name)) this.#options.onError?.(name, error)
      this.#threw.add(name)
      return 'it failed'
    }
  }

  #run (name: string, check: HealthCheck): Promise<string | undefined> {
    const running = this.#running.get(name) ?? (async () => await check())().finally(() => { this.#running.delete(name) })
    this.#running.set(name, running)
    return running
  }
}
