import { withDeadline, type Schedule } from '../async/index.ts'
import { milliseconds } from '../config/index.ts'
import { explain, labelOf, readPlace, SecretFailure, type Reading } from './read.ts'
import { Rotation } from './rotation.ts'
import { Secret } from './secret.ts'
import type { SecretPlace } from './source.ts'

/** How long one read may take, in milliseconds. */
export const READ_TIMEOUT = 5000
const FIRST_RETRY = 5000
const LAST_RETRY = 15 * 60_000
/** How long a file that is written in place has to stay the same, in milliseconds. */
const SETTLE = 2000
const LONGEST_TIMER = 2 ** 31 - 1

/** What an option does with its secret. Times are milliseconds. */
export interface SecretUse {
  /** How long an old value stays good, unless the option says it. */
  readonly overlap: number
  /** Whether a new value is accepted for a while before it is used first: other instances have to know it by then. */
  readonly leads?: true
  /** What is wrong with a new value: it is not taken then. */
  fault? (text: string): string | undefined
  /** Told of each change: the values that are good, the one to use first before the others. */
  changed (texts: readonly string[]): void
}

export type SecretNews =
  | { readonly type: 'changed' | 'restored' }
  | { readonly type: 'failed' | 'refused', readonly why: string }

export type SecretEvent = SecretNews & { readonly option: string, readonly source: string, readonly version?: string }

export interface KeptOptions {
  readonly option: string
  readonly place: SecretPlace
  readonly first: Reading
  readonly tell: (event: SecretEvent) => void
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly schedule: Schedule
  readonly random: () => number
}

const ms = (value: number | string | undefined, fallback: number) => value === undefined ? fallback : milliseconds(value)

/**
 * A secret that is looked at again and again. A failure, and a value that cannot be used, keep the one that is there. Its text is that
 * to use now.
 */
export class KeptSecret extends Secret {
  readonly option: string
  /** Whether a provider has it, which may say when it ends. */
  readonly isProvided: boolean
  readonly rotateEvery: number | undefined
  failures = 0
  /** What is wrong since the last look. */
  why: string | undefined
  lastChecked: number
  readonly #options: KeptOptions
  readonly #rotation: Rotation
  readonly #uses: SecretUse[] = []
  #reading: Reading
  /** What was read of a file that is being written, maybe. */
  #unsettled: string | undefined
  #inARow = 0
  #looking: Promise<void> | undefined
  #controller: AbortController | undefined
  #cancelLook = () => {}
  #cancelPass = () => {}
  #closed = false

  constructor (options: KeptOptions) {
    const { option, place, first, now } = options
    super('', { source: labelOf(place), ...(place.owner !== undefined && { owner: place.owner }) })
    this.option = option
    this.isProvided = 'provider' in place
    this.rotateEvery = place.rotateEvery === undefined ? undefined : milliseconds(place.rotateEvery)
    this.#options = options
    this.#reading = first
    this.#rotation = new Rotation(first.text)
    this.lastChecked = now()
  }

  override reveal (): string {
    return this.#rotation.current
  }

  /** Those that are good now, the one to use first before the others. No getter: some of `inspect()` call those. */
  all (): readonly string[] {
    return [...new Set(this.#rotation.values)]
  }

  /** What its place said of it at the last good look. */
  get about (): Pick<Reading, 'version' | 'created' | 'expires'> {
    const { version, created, expires } = this.#reading
    return { version, created, expires }
  }

  get overlapUntil (): number | undefined {
    return this.#rotation.until
  }

  serve (use: SecretUse): void {
    this.#uses.push(use)
  }

  /** From now on it is looked at. The environment of a process does not change. */
  start (): void {
    if (!('env' in this.#options.place)) this.#plan(this.#refresh)
  }

  close (): void {
    this.#closed = true
    this.#cancelLook()
    this.#cancelPass()
    this.#controller?.abort(new SecretFailure('the application closes'))
  }

  /** Looks now, or joins the look that is under way. Never rejects. */
  look (): Promise<void> {
    this.#looking ??= this.#look().finally(() => { this.#looking = undefined })
    return this.#looking
  }

  async #look (): Promise<void> {
    const { place, schedule, now } = this.#options
    const controller = this.#controller = new AbortController()
    const late = () => new SecretFailure(`no answer within ${READ_TIMEOUT} ms`)
    try {
      this.#take(await withDeadline(readPlace(place, controller.signal, now()), { ms: READ_TIMEOUT, late, controller, schedule }))
    } catch (error) {
      this.#fail('failed', explain(error))
    }
    this.lastChecked = now()
    if (!this.#closed) this.#plan(this.#unsettled !== undefined ? SETTLE : this.#inARow > 0 ? this.#retry : this.#refresh)
  }

  get #refresh (): number {
    return ms(this.#options.place.refresh, 60_000)
  }

  /** A file that is looked at costs nobody anything: whoever mends it waits no longer than for a change. */
  get #retry (): number {
    const most = 'file' in this.#options.place ? this.#refresh : Math.max(LAST_RETRY, this.#refresh)
    return Math.min(FIRST_RETRY * 2 ** (this.#inARow - 1), most)
  }

  /** ±10 %, so that many instances do not ask at once. */
  #plan (delay: number): void {
    const { schedule, random } = this.#options
    this.#cancelLook()
    this.#cancelLook = schedule(() => this.look(), Math.min(delay * (0.9 + random() / 5), LONGEST_TIMER))
  }

  #take (reading: Reading): void {
    if (reading.text === this.#rotation.newest) {
      // A file that is written again with the same text has not been rotated.
      const created = 'file' in this.#options.place ? this.#reading.created : reading.created
      this.#reading = { ...reading, created }
      this.#unsettled = undefined
      return this.#good()
    }
    if (!this.#isSettled(reading)) return
    const fault = this.#uses.map(use => use.fault?.(reading.text)).find(found => found !== undefined)
    if (fault !== undefined) return this.#fail('refused', fault)
    this.#reading = reading
    this.#rotation.change(reading.text, this.#options.now(), this.#times)
    this.#good()
    this.#tell({ type: 'changed' })
    this.#changed()
  }

  /** A file that is written in place may be half of it, and half a secret is one too: it has to be the same twice. */
  #isSettled ({ text, inode }: Reading): boolean {
    const isSettled = inode === undefined || inode !== this.#reading.inode || text === this.#unsettled
    this.#unsettled = isSettled ? undefined : text
    return isSettled
  }

  get #times (): { lead: number, overlap: number } {
    const { place } = this.#options
    const overlap = ms(place.overlap, Math.max(0, ...this.#uses.map(use => use.overlap)))
    const leads = overlap > 0 && this.#uses.some(use => use.leads === true)
    return { overlap, lead: leads ? ms(place.lead, this.#refresh * 1.25) : 0 }
  }

  #changed (): void {
    const texts = this.all()
    for (const use of this.#uses) use.changed(texts)
    this.#watch()
  }

  #watch (): void {
    const { schedule, now } = this.#options
    this.#cancelPass()
    if (this.#rotation.next === Infinity || this.#closed) return
    const left = Math.max(0, this.#rotation.next - now())
    this.#cancelPass = schedule(() => {
      // The time has passed, even where somebody has set the clock back meanwhile.
      const isOver = left <= LONGEST_TIMER
      if (this.#rotation.pass(isOver ? Math.max(now(), this.#rotation.next) : now(), this.#times.overlap)) this.#changed()
      else this.#watch()
    }, Math.min(left, LONGEST_TIMER))
  }

  #good (): void {
    this.#inARow = 0
    const wasBad = this.why !== undefined
    this.why = undefined
    if (wasBad) this.#tell({ type: 'restored' })
  }

  /** Told once for each reason, not at each look. */
  #fail (type: 'failed' | 'refused', why: string): void {
    if (this.#closed) return
    this.#unsettled = undefined
    this.failures++
    this.#inARow++
    const isNew = this.why !== why
    this.why = why
    if (isNew) this.#tell({ type, why })
  }

  #tell (news: SecretNews): void {
    const { version } = this.#reading
    this.#options.tell({ ...news, option: this.option, source: this.source, ...(version !== undefined && { version }) })
  }
}

/** The values of an option that are good now, and from now on each change of them. A text never changes. */
export function follow (given: unknown, use: SecretUse): readonly string[] {
  if (given instanceof KeptSecret) {
    given.serve(use)
    return given.all()
  }
  if (typeof given === 'string') return [given]
  return given instanceof Secret ? [given.reveal()] : []
}
