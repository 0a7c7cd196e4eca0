import { check, Problems, suggest } from '../config/index.ts'
import { LimitSchema, type Limit, type RateLimitOptions, type StoreFailure } from './options.ts'
import { compilePolicies, compilePolicy, type LimitPolicy } from './policy.ts'
import { validateLimit } from './validate.ts'

/** What can be changed of a policy while the server runs: parts of its limit, and whether it applies at all. */
export type LimitChange = Partial<Limit> & { readonly disabled?: boolean }

/** A policy as it is at the moment. */
export interface LimitState {
  readonly name: string
  readonly limit: number
  readonly windowMs: number
  readonly algorithm: LimitPolicy['algorithm']
  readonly dryRun: boolean
  readonly disabled: boolean
  /** Whether it differs from what the server was started with. */
  readonly changed: boolean
}

/** A policy that requests look up each time, because it may be changed. */
export interface Entry {
  readonly name: string
  readonly configured: Limit
  readonly onStoreFailure: StoreFailure
  policy: LimitPolicy
  /** The policy, alone in a list; empty while it is disabled. */
  active: readonly LimitPolicy[]
}

/** All policies of a limiter by name, and the switches to change them without a restart. */
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

  /** The entry of a limit that is written at a route: the same for the same limit under the same name. */
  define (name: string, limit: Limit): Entry {
    const known = this.#entries.get(name)?.find(({ configured }) => configured === limit)
    return known ?? this.#add(name, limit, compilePolicy(name, limit, this.#onStoreFailure))
  }

  /** What applies of these entries now. Rebuilt only after a change. */
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

  /** Changes a policy from what it was started with. Throws a ConfigurationError, and changes nothing, when the result would be refused at boot. */
  change (name: string, { disabled = false, ...change }: LimitChange): LimitState {
    const problems = new Problems()
    const entries = this.#known(name, problems)
    if (typeof disabled !== 'boolean') problems.add('SECURE_API_OPTION_TYPE', `${name}.disabled`, 'this is neither true nor false', 'Give true or false.')
    const changed = entries.map(entry => ({ entry, limit: { ...entry.configured, ...change } }))
    for (const { limit } of changed) checkChange(limit, change, name, problems)
    problems.throwIfAny()
    for (const { entry, limit } of changed) this.#put(entry, compilePolicy(name, limit, entry.onStoreFailure), disabled)
    return this.#first(name)
  }

  /** Makes a policy what the server was started with. */
  restore (name: string): LimitState {
    return this.change(name, {})
  }

  #first (name: string): LimitState {
    const [entry] = this.#entries.get(name) ?? []
    if (entry === undefined) throw new TypeError('a policy that was changed is gone')
    return stateOf(entry)
  }

  #known (name: string, problems: Problems): readonly Entry[] {
    const entries = this.#entries.get(name)
    if (entries !== undefined) return entries
    const meant = suggest(name, [...this.#entries.keys()])
    problems.add('SECURE_API_OPTION_UNKNOWN', name, 'no rate-limit policy has this name', meant === undefined ? 'See `app.rateLimits.list()`.' : `Did you mean \`${meant}\`?`)
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

/** Whose budget it is stays as it was: other keys would mean that every caller starts anew. */
function checkChange (limit: Limit, change: Partial<Limit>, path: string, problems: Problems): void {
  const before = problems.list().length
  check(LimitSchema, limit, path, problems)
  if (problems.list().length === before) validateLimit(limit, path, problems)
  if ('by' in change) problems.add('SECURE_API_OPTION_CONFLICT', `${path}.by`, 'whose budget it is cannot change while it is counted', 'Leave it out, and restart with the new one.')
}

function stateOf ({ name, configured, policy, active }: Entry): LimitState {
  const { limit, windowMs, algorithm, dryRun } = policy
  const disabled = active.length === 0
  const original = compilePolicy(name, configured)
  const changed = disabled || limit !== original.limit || windowMs !== original.windowMs || algorithm !== original.algorithm || dryRun !== original.dryRun || policy.burst !== original.burst
  return { name, limit, windowMs, algorithm, dryRun, disabled, changed }
}
