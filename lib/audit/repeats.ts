import { addressKey } from '../limits/index.ts'
import { timestamp, type AuditEvent } from './event.ts'

/** How long the repeats of a refusal are counted before they are recorded. */
export const windowMs = 10_000

export interface RepeatsOptions {
  readonly record: (event: AuditEvent) => void
  /** How many refusals are told apart in one window. The rest are counted together. */
  readonly capacity: number
  /** Runs a callback later; returns how to cancel it. */
  readonly schedule: (callback: () => void, ms: number) => () => void
}

/** Refusals that belong together, and what all those of them that only count have in common. */
interface Group {
  /** How many are still recorded at once. */
  free: number
  count: number
  last: AuditEvent | undefined
  sameAction: boolean
  sameAddress: boolean
  samePrincipal: boolean
}

/**
 * Keeps one caller's flood of refusals from filling the trail: the first refusal for a reason is recorded at once, and
 * those that follow within the window are one event with their number. Allowed calls never wait here.
 */
export class Repeats {
  readonly #options: RepeatsOptions
  readonly #groups = new Map<string, Group>()
  #cancel: (() => void) | undefined
  #closed = false
  /** Refusals that have no event of their own. */
  collapsed = 0

  constructor (options: RepeatsOptions) {
    this.#options = options
  }

  see (event: AuditEvent): void {
    if (!collapses(event) || this.#closed) return this.#options.record(event)
    const group = this.#groupFor(event)
    if (group.free === 0) return this.#count(group, event)
    group.free--
    this.#options.record(event)
  }

  /** Ends the window: records what was counted in it. */
  flush (): void {
    this.#cancel?.()
    this.#cancel = undefined
    const groups = [...this.#groups.values()]
    this.#groups.clear()
    for (const group of groups) {
      if (group.last !== undefined) this.#options.record(summary(group.last, group))
    }
  }

  /** Records what was counted. Events that come later are recorded one by one. */
  close (): void {
    this.#closed = true
    this.flush()
  }

  /** Where the window holds as many callers as it may, all further ones are one, for each reason. */
  #groupFor (event: AuditEvent): Group {
    this.#cancel ??= this.#options.schedule(() => { this.flush() }, windowMs)
    const key = keyOf(event)
    const known = this.#groups.get(key)
    if (known !== undefined) return known
    return this.#groups.size < this.#options.capacity ? this.#open(key, freeOf(event)) : this.#others(event)
  }

  #others (event: AuditEvent): Group {
    const key = `others ${reasonOf(event)}`
    return this.#groups.get(key) ?? this.#open(key, 0)
  }

  #open (key: string, free: number): Group {
    const group: Group = { free, count: 0, last: undefined, sameAction: true, sameAddress: true, samePrincipal: true }
    this.#groups.set(key, group)
    return group
  }

  #count (group: Group, event: AuditEvent): void {
    const { last = event } = group
    group.sameAction &&= last.action === event.action && last.method === event.method
    group.sameAddress &&= last.address === event.address
    group.samePrincipal &&= whoOf(last) === whoOf(event)
    group.last = event
    group.count++
    this.collapsed++
  }
}

/**
 * What a caller without a token can cause as often as it likes, and every 429. Left out: refusals of somebody who is known,
 * and errors of handlers, which have no reason.
 */
function collapses ({ status, outcome, reason, principal, violation }: AuditEvent): boolean {
  if (outcome === 'allowed' || principal !== undefined) return status === 429 || violation !== undefined
  return outcome !== 'failed' || reason !== undefined
}

/** One report of a browser holds up to 20 violations, each of which says something else. */
function freeOf ({ violation }: AuditEvent): number {
  return violation === undefined ? 1 : 20
}

/** One subscriber has a whole IPv6 network (RFC 6177), and would be a stranger with every address of it. */
function keyOf (event: AuditEvent): string {
  return `${addressKey(event.address)} ${reasonOf(event)} ${whoOf(event)}`
}

function reasonOf ({ reason, status, violation }: AuditEvent): string | number {
  return violation === undefined ? reason ?? status : 'violation'
}

function whoOf ({ principal }: AuditEvent): string {
  return principal === undefined ? '' : `${principal.issuer} ${principal.client} ${principal.subject}`
}

/** The last of them, and their number. What they do not share is left out. */
function summary (last: AuditEvent, { count, sameAction, sameAddress, samePrincipal }: Group): AuditEvent {
  const { route, principal, ...rest } = last
  return {
    ...rest,
    time: timestamp(),
    ...(!sameAction && { action: 'several', method: '' }),
    ...(sameAction && route !== undefined && { route }),
    ...(!sameAddress && { address: '' }),
    ...(samePrincipal && principal !== undefined && { principal }),
    repeats: count
  }
}
