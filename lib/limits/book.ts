import { check, Problems, suggest } from '../config/index.ts'
import { LimitSchema, type Limit, type RateLimitOptions, type StoreFailure } from './options.ts'
import { compilePolicies, compilePolicy, type LimitPolicy } from './policy.ts'
import { validateLimit } from './validate.ts'

/** What can change at run time: parts of the limit, and whether it applies. */
export type LimitChange = Partial<Limit> & { readonly disabled?: boolean }

/** The current state of a policy. */
export interface LimitState {
  readonly name: string
  readonly limit: number
  readonly windowMs: number
  readonly algorithm: LimitPolicy['algorithm']
  readonly dryRun: boolean
  readonly disabled: boolean
  /** Whether it differs from the configuration at start. */
  readonly changed: boolean
}

/** A policy that can change at run time. */
export interface Entry {
  readonly name: string
  readonly configured: Limit
  readonly onStoreFailure: StoreFailure
  policy: LimitPolicy
  /** A list of the policy alone; empty while it is disabled. */
  active: readonly LimitPolicy[]
}

/** All policies of a limiter by name; they can change without a restart. */
export class LimitBook {
  readonly #entries = new Map<string, Entry[]>()
  readonly #onStoreFailure: StoreFailure
  readonly address: Entry | undefined
  readonly failures: Entry | undefined
  #version = 0

  constructor (options: RateLimitOptions) {
    this.#onStoreFailure = options.onStoreFailure ?? 'local'
    const { named, perAddress, failures, limits } = compilePolicies(options)
    for (const [name, policy] of named) this.#add(name, limits.get(name) ?? { limit: 1 }, policy)
    this.address = perAddress && this.#add('address', limits.get('address') ?? { limit: 1 }, perAddress)
    this.failures = failures && this.#add('failures', limits.get('failures') ?? { limit: 1 }, failures)
  }

  find (name: string): Entry | undefined {
    return this.#entries.get(name)?.[0]
  }

  /** The entry of a route's own limit: the same for the same limit and name. */
  define (name: string, limit: Limit): Entry {
    const known = this.#entries.get(name)?.find(({ configured }) => configured === limit)
    return known ?? this.#add(name, limit, compilePolicy(name, limit, this.#onStoreFailure))
  }

  /** The active policies of these entries. Rebuilt only after a change. */
  select (entries: readonly Entry[]): () => readonly LimitPolicy[] {
    const [only] = entries
    if (only !== undefined && entries.length === 1) return () => only.active
    let [version, policies] = [-1, [] as readonly LimitPolicy[]]
    return () => {
      if (version === this.#version) return policies
      version = this.#version
      policies = entries.flatMap(({ active }) => active)
      return policies
    }
  }

  list (): readonly LimitState[] {
    return [...this.#entries.values()].flat().map(stateOf)
  }

  /** Applies a change to the configuration at start. Throws a ConfigurationError and changes nothing if the result is invalid. */
  change (name: string, { disabled = false, ...change }: LimitChange): LimitState {
    const problems = new Problems()
    const entries = this.#known(name, problems)
    if (typeof disabled !== 'boolean') {
      problems.add('SECURE_API_OPTION_TYPE', `${name}.disabled`, 'this is not true or false', 'Give true or false.')
    }
    const changed = entries.map(entry => ({ entry, limit: { ...entry.configured, ...change } }))
    for (const { limit } of changed) checkChange(limit, change, name, problems)
    problems.throwIfAny()
    for (const { entry, limit } of changed) this.#put(entry, compilePolicy(name, limit, entry.onStoreFailure), disabled)
    return this.#first(name)
  }

  /** Restores the configuration at start. */
  restore (name: string): LimitState {
    return this.change(name, {})
  }

  #first (name: string): LimitState {
    const [entry] = this.#entries.get(name) ?? []
    if (entry === undefined) throw new TypeError('the changed policy does not exist')
    return stateOf(entry)
  }

  #known (name: string, problems: Problems): readonly Entry[] {
    const entries = this.#entries.get(name)
    if (entries !== undefined) return entries
    const meant = suggest(name, [...this.#entries.keys()])
    const fix = meant === undefined ? 'See `app.rateLimits.list()`.' : `Did you mean \`${meant}\`?`
    problems.add('SECURE_API_OPTION_UNKNOWN', name, 'no rate-limit policy has this name', fix)
    return []
  }

  #add (name: string, configured: Limit, policy: LimitPolicy): Entry {
    const entry: Entry = { name, configured, onStoreFailure: this.#onStoreFailure, policy, active: [policy] }
    this.#entries.set(name, [...this.#entries.get(name) ?? [], entry])
    return entry
  }

  #put (entry: Entry, policy: LimitPolicy, disabled: boolean): void {
    entry.policy = policy
    entry.active = disabled ? [] : [policy]
    this.#version++
  }
}

/** `by` cannot change: with other keys every caller would start from zero. */
function checkChange (limit: Limit, change: Partial<Limit>, path: string, problems: Problems): void {
  if (problems.clean(found => check(LimitSchema, limit, path, found))) validateLimit(limit, path, problems)
  if (!('by' in change)) return
  problems.add('SECURE_API_OPTION_CONFLICT', `${path}.by`, '`by` cannot change at run time', 'Omit it, and restart with the new value.')
}

function stateOf ({ name, configured, policy, active }: Entry): LimitState {
  const { limit, windowMs, algorithm, dryRun } = policy
  const disabled = active.length === 0
  const original = compilePolicy(name, configured)
  const shown = ['limit', 'windowMs', 'algorithm', 'dryRun', 'burst'] as const
  const changed = disabled || shown.some(property => policy[property] !== original[property])
  return { name, limit, windowMs, algorithm, dryRun, disabled, changed }
}
