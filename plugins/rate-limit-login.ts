import type { FastifyInstance, FastifyRequest } from 'fastify'
import { milliseconds, Problems } from '../lib/config/index.ts'
import { addressOf, hasLeft, noteFunctionFailed, refusal, whenLeft, type Refusal } from '../lib/http/index.ts'
import {
  checkLoginGuard, isUnavailable, LoginBudgets, loginDefaults, noteDecision, publish, rateLimited, rateLimitUnavailable,
  type Attempt, type Limiter, type LoginGuardOptions, type LimitBook
} from '../lib/limits/index.ts'
import { RefusalError } from '../lib/pipeline/index.ts'
import { decorating } from './decorators.ts'

/**
 * Checks a password, or whatever proves who somebody is, within the budgets of the guard.
 *
 * `user` is what the caller typed. More than 256 characters, and what is no text, share one budget. `verify` runs only when the attempt is
 * admitted, and what it returns is returned. A truthy result gives the attempt back; a falsy one, or an error, leaves it counted.
 * Throws what becomes the answer: 429 (a budget is used up), 403 (the challenge was not passed), 503 (Redis is away, under `deny`).
 */
export type LoginGuard = <Account>(request: FastifyRequest, user: string, verify: () => Account | Promise<Account>) => Promise<Account>

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * A guard for routes where people sign in or up. Make it once, at boot.
     *
     * @example
     * const guard = app.loginGuard()
     * app.post('/login', { config: { public: true } }, async (request, reply) => {
     *   const { user, password } = request.body
     *   const account = await guard(request, user, () => verifyPassword(user, password))
     *   return account ? startSession(account) : reply.code(401).send()
     * })
     */
    loginGuard (options?: LoginGuardOptions): LoginGuard
  }
}

const challengeRequired = refusal('SECURE_API_CHALLENGE_REQUIRED')
const crowded = refusal('SECURE_API_RATE_LIMIT_UNAVAILABLE', { headers: { 'retry-after': '5' } })
/** Each request that waits holds a socket. */
const mostWaiting = 1000

/** Offers `app.loginGuard()`. */
export function serveLoginGuard (app: FastifyInstance, limiter: Limiter, book: LimitBook): void {
  decorating(app).decorate('loginGuard', (options: LoginGuardOptions = {}) => {
    const problems = new Problems()
    checkLoginGuard(options, 'loginGuard', problems)
    const { name = loginDefaults.name } = options
    if (book.find(name) !== undefined) {
      const why = `a policy is called \`${name}\` already`
      problems.add('SECURE_API_OPTION_CONFLICT', 'loginGuard.name', why, 'Give the guard another `name`.')
    }
    problems.throwIfAny()
    return loginGuard(new LoginBudgets(limiter, book, options), options)
  })
}

function loginGuard (budgets: LoginBudgets, options: LoginGuardOptions): LoginGuard {
  const hinder = options.challenge === undefined
    ? delaying(milliseconds(options.delay ?? loginDefaults.delay))
    : challenging(options.challenge)
  return async (request, user: unknown, verify) => {
    const attempt = await admit(budgets, request, user, hinder)
    const account = await verify()
    if (account && options.count !== 'all') await attempt.succeed()
    return account
  }
}

type Hinder = (request: FastifyRequest, user: string, attempt: Attempt) => Promise<void>

/** What the caller typed may be of any type: a body that no schema checks holds what a stranger wrote. */
async function admit (budgets: LoginBudgets, request: FastifyRequest, user: unknown, hinder: Hinder): Promise<Attempt> {
  const admission = await budgets.admit(addressOf(request), user)
  publish(isUnavailable(admission) ? admission : admission.decisions, request)
  if (isUnavailable(admission)) throw new RefusalError(rateLimitUnavailable(admission))
  const { decisions, attempt, suspicious } = admission
  noteDecision(request, decisions)
  if (attempt === undefined) throw new RefusalError(rateLimited(decisions))
  if (suspicious) await hinder(request, typeof user === 'string' ? user : '', attempt)
  return attempt
}

/** A captcha that was not passed has not cost the user an attempt: the page asks, and sends the same password again. */
function challenging (challenge: NonNullable<LoginGuardOptions['challenge']>): Hinder {
  return async (request, user, attempt) => {
    try {
      if (await challenge(request, user) === true) return
    } catch (error) {
      noteFunctionFailed(request, 'challenge', { err: error }, 'a login challenge failed, so the attempt is refused')
    }
    await giveUp(attempt, challengeRequired)
  }
}

function delaying (ms: number): Hinder {
  let waiting = 0
  return async ({ raw }, _user, attempt) => {
    if (waiting >= mostWaiting) return giveUp(attempt, crowded)
    waiting++
    const stayed = await pause(raw, ms)
    waiting--
    if (!stayed) await giveUp(attempt, crowded)
  }
}

/** Nothing was checked: the attempt counts for the address alone. */
async function giveUp (attempt: Attempt, answer: Refusal): Promise<never> {
  await attempt.withdraw()
  throw new RefusalError(answer)
}

/** False when the caller leaves before the time is over: nobody is there to wait for, and nothing is to be checked. */
function pause (raw: FastifyRequest['raw'], ms: number): Promise<boolean> {
  if (hasLeft(raw)) return Promise.resolve(false)
  return new Promise(resolve => {
    const timer = setTimeout(() => { cancel(); resolve(true) }, ms).unref()
    const cancel = whenLeft(raw, () => { clearTimeout(timer); resolve(false) })
  })
}
