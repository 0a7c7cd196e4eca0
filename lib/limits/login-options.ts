import type { FastifyRequest } from 'fastify'
import { DurationSchema, Type, type Static } from '../config/index.ts'

type Challenge = (request: FastifyRequest, user: string) => boolean | Promise<boolean>

const count = Type.Integer({ minimum: 1, maximum: 10_000 })

const StepSchema = Type.Object({
  /** Attempts per window; more than in the step before. */
  attempts: count,
  /** A longer window than in the step before, at most 24 hours: the block after repeated failures lasts this long. */
  window: DurationSchema
})

/** Options of `app.loginGuard()`. */
export const LoginGuardOptionsSchema = Type.Object({
  /** Name of the budgets in answers, metrics and `app.rateLimits`; each guard needs its own. @default 'sign-in' */
  name: Type.Optional(Type.String()),
  /**
   * Attempts of one address on one user: the first step is for typing errors, the others lengthen the block of a caller who goes on.
   * Refused attempts do not count, so a block always ends.
   * @default [{ attempts: 5, window: '15 minutes' }, { attempts: 10, window: '4 hours' }, { attempts: 15, window: '24 hours' }]
   */
  perUserAndAddress: Type.Optional(Type.Array(StepSchema, { minItems: 1 })),
  /**
   * Attempts of one address on all users, against lists of stolen passwords. A success gives back its own attempt only.
   * @default { attempts: 50, window: '1 hour' }
   */
  perAddress: Type.Optional(StepSchema),
  /**
   * Attempts on one user from all addresses, above which each one meets the `challenge` or the `delay`. It never blocks a user,
   * because strangers could then lock out anyone.
   * @default { attempts: 20, window: '1 hour' }
   */
  perUser: Type.Optional(StepSchema),
  /**
   * For a captcha or a second factor: called above `perUser`. `true` lets the attempt proceed; anything else (or an error) is
   * answered 403 with the code SECURE_API_CHALLENGE_REQUIRED, on which the page shows the captcha.
   */
  challenge: Type.Optional(Type.Function<Challenge>()),
  /** How long an attempt above `perUser` waits without a `challenge`; at most 10 seconds. @default '2 seconds' */
  delay: Type.Optional(DurationSchema),
  /** `failures`: a success gives its attempt back. `all`: every attempt counts, for sign-up and e-mails. @default 'failures' */
  count: Type.Optional(Type.Union([Type.Literal('failures'), Type.Literal('all')])),
  /** While Redis is unavailable; see `rateLimit.onStoreFailure`. @default the value there */
  onStoreFailure: Type.Optional(Type.Union([Type.Literal('local'), Type.Literal('deny')]))
})

export type LoginGuardOptions = Static<typeof LoginGuardOptionsSchema>
export type LoginStep = Static<typeof StepSchema>

export const loginDefaults = {
  name: 'sign-in',
  perUserAndAddress: [{ attempts: 5, window: 900_000 }, { attempts: 10, window: 14_400_000 }, { attempts: 15, window: 86_400_000 }],
  perAddress: { attempts: 50, window: 3_600_000 },
  perUser: { attempts: 20, window: 3_600_000 },
  delay: 2000
} as const
