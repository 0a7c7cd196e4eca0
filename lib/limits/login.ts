import { createHash } from 'node:crypto'
import { check, milliseconds, type Problems } from '../config/index.ts'
import { addressKey } from './address.ts'
import type { Entry, LimitBook } from './book.ts'
import { isUnavailable, refusing, type Charge, type Decision, type Limiter, type Unavailable } from './decision.ts'
import { loginDefaults, LoginGuardOptionsSchema, type LoginGuardOptions, type LoginStep } from './login-options.ts'
import type { Limit } from './options.ts'
import { validatePolicyName } from './validate.ts'

const longestBlock = 86_400_000

/** Checks the options of a guard. The name leaves room for the suffixes of the budgets. */
export function checkLoginGuard (options: LoginGuardOptions, path: string, problems: Problems): void {
  if (!problems.clean(found => check(LoginGuardOptionsSchema, options, path, found))) return
  const { name = loginDefaults.name, perUserAndAddress = [], perAddress, perUser, delay = 0, challenge } = options
  validatePolicyName(name, `${path}.name`, problems)
  if (name.length > 32) problems.add('SECURE_API_OPTION_VALUE', `${path}.name`, 'the name is too long', 'Use up to 32 characters.')
  for (const [index, step] of perUserAndAddress.entries()) {
    checkWindow(step, `${path}.perUserAndAddress[${index}]`, problems)
    checkOrder(perUserAndAddress[index - 1], step, `${path}.perUserAndAddress[${index}]`, problems)
  }
  if (perAddress !== undefined) checkWindow(perAddress, `${path}.perAddress`, problems)
  if (perUser !== undefined) checkWindow(perUser, `${path}.perUser`, problems)
  if (milliseconds(delay) > 10_000) {
    problems.add('SECURE_API_OPTION_RANGE', `${path}.delay`, 'requests that wait this long pile up', 'Give 10 seconds at most.')
  }
  if (challenge !== undefined && options.delay !== undefined) {
    problems.add('SECURE_API_OPTION_CONFLICT', `${path}.delay`, 'with a `challenge` there is no delay', 'Give one of them.')
  }
}

function checkWindow ({ window }: LoginStep, path: string, problems: Problems): void {
  const ms = milliseconds(window)
  if (ms >= 1000 && ms <= longestBlock) return
  problems.add('SECURE_API_OPTION_RANGE', `${path}.window`, `${ms} ms is out of range`, 'Give 1 second to 24 hours.')
}

function checkOrder (before: LoginStep | undefined, { attempts, window }: LoginStep, path: string, problems: Problems): void {
  if (before === undefined || (attempts > before.attempts && milliseconds(window) > milliseconds(before.window))) return
  problems.add('SECURE_API_OPTION_CONFLICT', path, 'a step with fewer attempts or a shorter window than the previous one has no effect',
    'Order the steps from short to long.')
}

/** Whether an attempt may proceed: a refused one is undefined. `suspicious`: the user has had too many. */
interface Admission {
  readonly decisions: readonly Decision[]
  readonly attempt: Attempt | undefined
  readonly suspicious: boolean
}

/** A counted attempt. */
export interface Attempt {
  /** The password was right: gives the attempt back and clears the budget of this address and user, and no other. */
  succeed (): Promise<void>
  /** Nothing was checked: gives the attempt back to the user; it stays counted for the address. */
  withdraw (): Promise<void>
}

type Role = 'pair' | 'address' | 'user'
type Keys = Readonly<Record<Role, string>>

/**
 * The budgets of sign-in attempts. They are taken before the password is checked, all or none, so concurrent attempts cannot exceed
 * the budget, as they can when counting after the check.
 */
export class LoginBudgets {
  readonly #limiter: Limiter
  readonly #counted: readonly (readonly [Role, Entry])[]

  constructor (limiter: Limiter, book: LimitBook, options: LoginGuardOptions) {
    this.#limiter = limiter
    this.#counted = budgetsOf(options).map(([role, name, limit]) => [role, book.define(name, { ...limit, leased: 0 })])
  }

  async admit (address: string | undefined, user: unknown): Promise<Admission | Unavailable> {
    const keys = keysOf(address, user)
    const active = this.#counted.flatMap(([role, { active }]) => active.map(policy => [role, policy] as const))
    const charges = active.map(([role, policy]): Charge => [policy, keys[role]])
    const decisions = await this.#limiter.consume(charges)
    if (isUnavailable(decisions)) return decisions
    const roles = active.map(([role]) => role)
    const suspicious = decisions.some(({ allowed }, index) => roles[index] === 'user' && !allowed)
    return { decisions, attempt: decisions.some(refusing) ? undefined : this.#attempt(decisions, roles, keys), suspicious }
  }

  #attempt (decisions: readonly Decision[], roles: readonly Role[], keys: Keys): Attempt {
    const each = async (settle: (decision: Decision, role: Role, key: string) => unknown) => {
      await Promise.all(decisions.map((decision, index) => {
        const role = roles[index] ?? 'pair'
        return settle(decision, role, keys[role])
      }))
    }
    const refund = (decision: Decision, key: string) => this.#limiter.refund(decision.policy, key, decision)
    return {
      succeed: () => each((decision, role, key) => role === 'pair' ? this.#limiter.reset(decision.policy, key) : refund(decision, key)),
      withdraw: () => each((decision, role, key) => role === 'address' ? undefined : refund(decision, key))
    }
  }
}

/** The budget of the user is a dry run: it counts and reports, but refuses nobody. */
function budgetsOf (options: LoginGuardOptions): readonly (readonly [Role, string, Limit])[] {
  const { name, perUserAndAddress, perAddress, perUser, onStoreFailure } = { ...loginDefaults, ...options }
  const limit = ({ attempts, window }: LoginStep): Limit => ({ limit: attempts, window, ...(onStoreFailure && { onStoreFailure }) })
  return [
    ...perUserAndAddress.map((step: LoginStep, index) => ['pair', index === 0 ? name : `${name}.${index + 1}`, limit(step)] as const),
    ['address', `${name}.address`, limit(perAddress)],
    ['user', `${name}.user`, { ...limit(perUser), dryRun: true }]
  ]
}

/**
 * Users are hashed: the field of a login form is personal data, and sometimes a password typed in the wrong place. Spellings that
 * applications treat as equal share a key, or each would have its own budget.
 */
function keysOf (address: string | undefined, user: unknown): Keys {
  const from = addressKey(address)
  const name = nameOf(user)
  const who = name === undefined ? '-' : createHash('sha256').update(name).digest('base64url')
  return { pair: `l:${from}:${who}`, address: `la:${from}`, user: `lu:${who}` }
}

/** In UTF-16 units. An e-mail address has 254 at most (RFC 5321 §4.5.3.1.3). */
const longestUser = 256
/** One more than UAX #15 §13 (Stream-Safe Text Format) allows: sorting marks takes quadratic time. */
const manyMarks = /\p{M}{31}/u

/**
 * The canonical spelling of a name. Undefined for anything else (a list, a long text, piles of combining marks): all of that shares
 * one budget, so it gains no attempts.
 */
function nameOf (user: unknown): string | undefined {
  const text = typeof user === 'number' ? String(user) : user
  if (typeof text !== 'string' || text.length > longestUser || manyMarks.test(text)) return undefined
  return text.normalize('NFKC').trim().toLowerCase()
}
