import { Type, type Static } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import { DurationSchema } from '../config/index.ts'

const count = Type.Integer({ minimum: 1, maximum: 10_000 })

const StepSchema = Type.Object({
  /** How many attempts in the window; more than in the step before. */
  attempts: count,
  /** A longer window than in the step before, 24 hours at most: whoever fails on and on is shut out for this long, and no longer. */
  window: DurationSchema
}, { additionalProperties: false })

/** Options of `app.loginGuard()`. */
export const LoginGuardOptionsSchema = Type.Object({
  /** What the budgets are called in answers, metrics and `app.rateLimits`. Two guards have two names. @default 'sign-in' */
  name: Type.Optional(Type.String()),
  /**
   * Attempts of one address on one user: the first step says what a person who mistypes meets, the others how long the
   * block of whoever goes on grows. Attempts that are refused count nowhere, so that a block always ends.
   * @default [{ attempts: 5, window: '15 minutes' }, { attempts: 10, window: '4 hours' }, { attempts: 15, window: '24 hours' }]
   */
  perUserAndAddress: Type.Optional(Type.Array(StepSchema, { minItems: 1 })),
  /** Attempts of one address on all users: against lists of stolen passwords. A success gives back its own attempt and no other. @default { attempts: 50, window: '1 hour' } */
  perAddress: Type.Optional(StepSchema),
  /**
   * Attempts on one user from everywhere, above which each costs more: `challenge`, or else `delay`. It never shuts anybody out,
   * for strangers could then lock every user out by failing in their name.
   * @default { attempts: 20, window: '1 hour' }
   */
  perUser: Type.Optional(StepSchema),
  /**
   * Where a captcha or a second factor hangs: asked above `perUser`; true lets the attempt go on, anything else (and an error)
   * answers 403 with the code SECURE_API_CHALLENGE_REQUIRED, on which the page shows the captcha.
   */
  challenge: Type.Optional(Type.Unsafe<(request: FastifyRequest, user: string) => boolean | Promise<boolean>>(Type.Function([], Type.Any()))),
  /** How long an attempt above `perUser` waits before the password is checked, where there is no `challenge`; 10 seconds at most. @default '2 seconds' */
  delay: Type.Optional(DurationSchema),
  /** `failures`: a success gives its attempt back. `all`: every attempt counts, for sign-up and for mails that are sent. @default 'failures' */
  count: Type.Optional(Type.Union([Type.Literal('failures'), Type.Literal('all')])),
  /** While Redis cannot be asked; see `rateLimit.onStoreFailure`. @default the value there */
  onStoreFailure: Type.Optional(Type.Union([Type.Literal('local'), Type.Literal('deny')]))
}, { additionalProperties: false })

export type LoginGuardOptions = Static<typeof LoginGuardOptionsSchema>
export type LoginStep = Static<typeof StepSchema>

export const loginDefaults = {
  name: 'sign-in',
  perUserAndAddress: [{ attempts: 5, window: 900_000 }, { attempts: 10, window: 14_400_000 }, { attempts: 15, window: 86_400_000 }],
  perAddress: { attempts: 50, window: 3_600_000 },
  perUser: { attempts: 20, window: 3_600_000 },
  delay: 2000
} as const
