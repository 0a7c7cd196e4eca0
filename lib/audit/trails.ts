import { ignoreRejection } from '../async/index.ts'
import type { AuditEvent } from './event.ts'
import type { AuditFilter } from './options.ts'
import { Trail, type Destination } from './trail.ts'

export interface TrailsEntry {
  /** For `status()` and the log. */
  readonly name: string
  readonly destination: Destination
  readonly filter?: AuditFilter | undefined
  readonly buffer: number
  /** Whether requests are refused while this sink is unreliable. */
  readonly denies: boolean
}

interface Led extends TrailsEntry {
  readonly trail: Trail
}

type OnChange = (name: string, failing: boolean, error?: unknown) => void

/** All sinks of one application. None waits for another, and the failure of one is not that of the others. */
export class Trails {
  readonly #all: readonly Led[]
  readonly #denying: readonly Trail[]

  constructor (entries: readonly TrailsEntry[], onChange: OnChange) {
    this.#all = entries.map(entry => {
      const { name, destination, buffer } = entry
      return { ...entry, trail: new Trail({ destination, buffer, onChange: (failing, error) => onChange(name, failing, error) }) }
    })
    this.#denying = this.#all.filter(({ denies }) => denies).map(({ trail }) => trail)
  }

  /** Whether any sink refuses requests when it is unreliable. */
  get mayDeny (): boolean {
    return this.#denying.length > 0
  }

  /** Whether an event may be lost that must not be. */
  get unreliable (): boolean {
    return this.#denying.some(trail => trail.unreliable)
  }

  record (event: AuditEvent): void {
    for (const { trail, filter } of this.#all) if (filter === undefined || wants(filter, event)) trail.record(event)
  }

  /** Resolves when nothing is pending and the sinks are closed, or after `ms`, with what is left, by the name of the sink. */
  async close (ms: number): Promise<Record<string, number>> {
    const left = await Promise.all(this.#all.map(async ({ name, trail }) => [name, await trail.close(ms)] as const))
    return Object.fromEntries(left.filter(([, pending]) => pending > 0))
  }

  status (): object {
    const each = this.#all.map(({ name, trail }) => ({ name, ...trail.status() }))
    const sum = (key: 'recorded' | 'dropped' | 'pending') => each.reduce((total, status) => total + status[key], 0)
    const failing = each.some(status => status.failing)
    const all = { recorded: sum('recorded'), dropped: sum('dropped'), pending: sum('pending'), failing }
    return each.length > 1 || each.some(({ file }) => file !== undefined) ? { ...all, sinks: each } : all
  }
}

function wants (filter: AuditFilter, event: AuditEvent): boolean {
  try {
    const wanted: unknown = filter(event)
    ignoreRejection(wanted)
    return wanted !== false
  } catch {
    return true
  }
}
