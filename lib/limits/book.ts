import { check, ConfigurationError, Problems, suggest } from '../config/index.ts'
import {
  defaultFailures, defaultPerAddress, defaultPolicies, LimitSchema, type Limit, type RateLimitOptions, type StoreFailure
} from './options.ts'
import { compilePolicy, merged, type LimitPolicy } from './policy.ts'
import { validateLimit } from './validate.ts'

/** What can change at run time: parts of the limit, and whether it applies. */
export type LimitChange = Partial<Limit> & { readonly disabled?: boolean }

/** The current state of a policy. */
export interface LimitState extends Pick<LimitPolicy, 'name' | 'limit' | 'windowMs' | 'algorithm' | 'dryRun'> {
  readonly disabled: boolean
  /** Whether it differs from the configuration at start. */
  readonly changed: boolean
}

/** A policy that can change at run time. */
export interface Entry {
  readonly configured: Limit
  policy: LimitPolicy
  /** A list of the policy alone; empty while it is disabled. */
  active: readonly LimitPolicy[]
}

/** All policies of a limiter by name; they can change without a restart. */
export class LimitBook {
  readonly #entries = new Map<string, Entry[]>()
  readonly #onStoreFailure: StoreFailure
  readonly #leased: number
  readonly address: Entry | undefined
  readonly failures: Entry | undefined
  #version = 0

  constructor (options: RateLimitOptions) {
    const { onStoreFailure = 'local', leased = 0, perAddress = defaultPerAddress, failures = defaultFailures, policies } = options
    this.#onStoreFailure = onStoreFailure
    this.#leased = leased
    for (const [name, limit] of Object.entries({ ...defaultPolicies, ...policies })) this.define(name, limit)
    this.address = perAddress ? this.define('address', merged(perAddress, { by: 'address' })) : undefined
    this.failures = failures ? this.define('failures', merged(failures, { by: 'address' })) : undefined
  }

  find (name: string): Entry | undefined {
    return this.#entries.get(name)?.[0]
  }

  /** The entry of a route's own limit: the same for the same limit and name. */
  define (name: string, limit: Limit): Entry {
    const known = this.#entries.get(name) ?? []
    const same = known.find(({ configured }) => configured === limit)
    if (same !== undefined) return same
    const policy = this.#compile(name, limit)
    const entry: Entry = { configured: limit, policy, active: [policy] }
    this.#entries.set(name, [...known, entry])
    return entry
  }

  #compile (name: string, limit: Limit): LimitPolicy {
    const own = merged(limit)
    // Each failure is told to Redis, for other processes.
    const leased = name === 'failures' ? 0 : own.leased ?? this.#leased
    return compilePolicy(name, merged(own, { leased }), this.#onStoreFailure)
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
    if (typeof disabled !== 'boolean') {
      problems.add('SECURE_API_OPTION_TYPE', `${name}.disabled`, 'this is not true or false', 'Give true or false.')
    }
    const entries = this.#entries.get(name) ?? []
    const [first] = entries
    if (first === undefined) {
      const meant = suggest(name, [...this.#entries.keys()])
      const fix = meant === undefined ? 'See `app.rateLimits.list()`.' : `Did you mean \`${meant}\`?`
      problems.add('SECURE_API_OPTION_UNKNOWN', name, 'no rate-limit policy has this name', fix)
      throw new ConfigurationError(problems.list())
    }
    const changed = entries.map(entry => ({ entry, limit: { ...entry.configured, ...change } }))
    for (const { limit } of changed) checkChange(limit, change, name, problems)
    problems.throwIfAny()
    for (const { entry, limit } of changed) {
      entry.policy = this.#compile(name, limit)
      entry.active = disabled ? [] : [entry.policy]
    }
    this.#version++
    return stateOf(first)
  }
}

/** `by` cannot change: with other keys every caller would start from zero. */
function checkChange (limit: Limit, change: Partial<Limit>, path: string, problems: Problems): void {
  if (problems.clean(found => check(LimitSchema, limit, path, found))) validateLimit(limit, path, problems)
  if (!('by' in change)) return
  problems.add('SECURE_API_OPTION_CONFLICT', `${path}.by`, '`by` cannot change at run time', 'Omit it, and restart with the new value.')
}

function stateOf ({ configured, policy, active }: Entry): LimitState {
  const { name, limit, windowMs, algorithm, dryRun } = policy
  const disabled = active.length === 0
  const original = compilePolicy(name, configured)
  const shown = ['limit', 'windowMs', 'algorithm', 'dryRun', 'burst'] as const
  const changed = disabled || shown.some(property => policy[property] !== original[property])
  return { name, limit, windowMs, algorithm, dryRun, disabled, changed }
}
