import type { Schedule } from '../async/index.ts'
import { partitionOfAddress } from '../limits/index.ts'
import { timestamp, type AuditEvent } from './event.ts'

/** How long the repeats of a refusal are counted before they are recorded. */
export const windowMs = 10_000

interface RepeatsOptions {
  readonly record: (event: AuditEvent) => void
  /** How many groups of refusals one window tracks. The rest is counted together. */
  readonly capacity: number
  /** How many refusals per window are recorded individually although they are not the first of their caller. */
  readonly spare: number
  readonly schedule: Schedule
}

/** Refusals that belong together, and what the counted ones have in common. */
interface Group {
  isNew: boolean
  /** How many may still be recorded at once. */
  free: number
  count: number
  last: AuditEvent | undefined
  sameAction: boolean
  sameAddress: boolean
  samePrincipal: boolean
}

/**
 * Keeps a flood of refusals from filling the trail: the first ones of each caller and reason are recorded at once; those that follow
 * within the window become one event with their number. Allowed calls never wait.
 */
export class Repeats {
  readonly #options: RepeatsOptions
  readonly #groups = new Map<string, Group>()
  #cancel: (() => void) | undefined
  #spare: number
  #closed = false
  /** Refusals without their own event. */
  collapsed = 0

  constructor (options: RepeatsOptions) {
    this.#options = options
    this.#spare = options.spare
  }

  see (event: AuditEvent): void {
    if (!collapses(event) || this.#closed) return this.#options.record(event)
    const group = this.#groupFor(event)
    if (this.#mayStandAlone(group)) this.#options.record(event)
    else this.#count(group, event)
  }

  #mayStandAlone (group: Group): boolean {
    if (group.free === 0) return false
    group.free--
    if (group.isNew) group.isNew = false
    else if (this.#spare === 0) return false
    else this.#spare--
    return true
  }

  /** Ends the window: records what was counted in it. */
  flush (): void {
    this.#cancel?.()
    this.#cancel = undefined
    this.#spare = this.#options.spare
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

  /** When the window is full, all further callers share one group per reason. */
  #groupFor (event: AuditEvent): Group {
    this.#cancel ??= this.#options.schedule(() => { this.flush() }, windowMs)
    const key = keyOf(event)
    const known = this.#groups.get(key)
    if (known !== undefined) return known
    // One event per exceeded limit is enough. Others are useful one by one: a scan, a report of 20 violations, a manual test.
    if (this.#groups.size < this.#options.capacity) return this.#open(key, event.status === 429 ? 1 : 20)
    const others = `others ${reasonOf(event)}`
    return this.#groups.get(others) ?? this.#open(others, 0)
  }

  #open (key: string, free: number): Group {
    const group: Group = { isNew: free > 0, free, count: 0, last: undefined, sameAction: true, sameAddress: true, samePrincipal: true }
    this.#groups.set(key, group)
    return group
  }

  #count (group: Group, event: AuditEvent): void {
    const { last = event } = group
    group.sameAction &&= last.action === event.action && last.method === event.method
    group.sameAddress &&= last.address === event.address
    group.samePrincipal &&= isSameCaller(last, event)
    group.last = event
    group.count++
    this.collapsed++
  }
}

/**
 * Refusals that a caller without a token can cause at will, and every 429. Not those of known callers, errors of handlers (without a
 * reason) and handshakes, which are counted elsewhere.
 */
function collapses ({ status, outcome, reason, principal, violation, handshake }: AuditEvent): boolean {
  if (handshake !== undefined) return false
  if (outcome === 'allowed' || principal !== undefined) return status === 429 || violation !== undefined
  return outcome !== 'failed' || reason !== undefined
}

/** By network for IPv6: one subscriber has a whole /64 (RFC 6177). */
function keyOf (event: AuditEvent): string {
  return `${partitionOfAddress(event.address)} ${reasonOf(event)} ${event.limit?.policy ?? ''} ${whoOf(event)}`
}

function reasonOf ({ reason, status, violation }: AuditEvent): string | number {
  return violation === undefined ? reason ?? status : 'violation'
}

/** With the length of each name: joined by a character that a name may hold, two callers would be one. */
function whoOf ({ principal }: AuditEvent): string {
  return principal === undefined ? '' : sized(principal.issuer) + sized(principal.client) + sized(principal.subject)
}

function sized (name: string | undefined): string {
  return name === undefined ? '-' : `${name.length}:${name}`
}

function isSameCaller ({ principal: one }: AuditEvent, { principal: other }: AuditEvent): boolean {
  if (one === undefined || other === undefined) return one === other
  return one.subject === other.subject && one.client === other.client && one.issuer === other.issuer
}

/** The last event with the number of all; what they do not share is omitted. */
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
