import { KeptSecret } from './kept.ts'

const DAY = 86_400_000
/** Before the end, in milliseconds; of a secret that lives shorter, the last third. */
const SOON = 30 * DAY

/** An entry of `secrets` in `app.secureApi.status()`. Never a value, nor anything that is computed from one. */
export interface SecretStatus {
  /** The path of the option. */
  readonly option: string
  /**
   * `'env NAME'`, `'file /run/secrets/x'`, `'provider azure: name'`; `'environment'`, a text that is the value of some variable;
   * `'literal'`, any other text; or what a `Secret` of the application says of itself.
   */
  readonly source: string
  readonly owner?: string
  /** ISO 8601, as are all times here. */
  readonly created?: string
  readonly ageDays?: number
  /** When it is to be replaced: by `rotateEvery`, or because it ends then. */
  readonly due?: string
  /** Whole days until then; negative afterwards. */
  readonly dueInDays?: number
  /** When it ends, by what its provider says. */
  readonly expires?: string
  readonly version?: string
  /** `failing`: the last look failed, or found a value that cannot be used. The one before stays in use. */
  readonly state: 'good' | 'due' | 'overdue' | 'failing'
  readonly why?: string
  /** Looks that failed since the start. */
  readonly failures: number
  /** Absent where it is never looked at again. */
  readonly lastChecked?: string
  /** Until when an old value is good beside the new one. */
  readonly overlapUntil?: string
}

/** When a secret is to be replaced, and how long it lives. Milliseconds. */
export interface Due {
  readonly at: number
  readonly lifetime: number
}

export function dueOf (secret: KeptSecret): Due | undefined {
  const { created, expires = Infinity } = secret.about
  const byPlan = created === undefined || secret.rotateEvery === undefined ? Infinity : created + secret.rotateEvery
  const at = Math.min(byPlan, expires)
  if (at === Infinity) return undefined
  return { at, lifetime: created === undefined ? Infinity : at - created }
}

const iso = (ms: number) => new Date(ms).toISOString()

export function statusOf (secret: KeptSecret | Pick<SecretStatus, 'option' | 'source'> & { owner?: string | undefined }, now: number):
SecretStatus {
  const { option, source, owner } = secret
  const base = { option, source, ...(owner !== undefined && { owner }) }
  if (!(secret instanceof KeptSecret)) return { ...base, state: 'good', failures: 0 }
  const { failures, lastChecked, overlapUntil, why, about: { version, created, expires } } = secret
  const due = dueOf(secret)
  return {
    ...base,
    ...(created !== undefined && { created: iso(created), ageDays: Math.floor((now - created) / DAY) }),
    ...(due !== undefined && { due: iso(due.at), dueInDays: Math.floor((due.at - now) / DAY) }),
    ...(expires !== undefined && { expires: iso(expires) }),
    ...(version !== undefined && { version }),
    state: stateOf(due, now, why),
    ...(why !== undefined && { why }),
    failures,
    lastChecked: iso(lastChecked),
    ...(overlapUntil !== undefined && { overlapUntil: iso(overlapUntil) })
  }
}

function stateOf (due: Due | undefined, now: number, why: string | undefined): SecretStatus['state'] {
  const left = due === undefined ? Infinity : due.at - now
  if (left <= 0) return 'overdue'
  if (why !== undefined) return 'failing'
  return due !== undefined && left <= Math.min(SOON, due.lifetime / 3) ? 'due' : 'good'
}
