import { movedClock, Type, type Problems, type Static } from '../config/index.ts'
import { SecretSourceSchema } from '../secrets/index.ts'
import type { UncheckedClaims } from './claims.ts'
import type { IssuerRules } from './rules.ts'

/** Tokens that the application signed with a secret before it moved here: without `iss`, `aud`, `exp`, or a type of their own. */
export const LegacyTokensSchema = Type.Object({
  /**
   * The day on which the last of them ends, whatever they say: `'2027-01-31'`, 90 days from now at most. From then on, remove
   * the option.
   */
  until: Type.String({ pattern: '^\\d{4}-\\d{2}-\\d{2}$', hint: "Write a day: '2027-01-31'." }),
  /** The secret that signed them, of 32 bytes or more. @default `ownTokens.secret` */
  secret: Type.Optional(SecretSourceSchema),
  /** The claim that names the user, where it is not `sub`: a text or a whole number. @default 'sub' */
  subject: Type.Optional(Type.String()),
  /**
   * Says whether a token is an access token, by its claims. Needed where the same secret has signed other things, such as
   * links to reset a password or refresh tokens, that no claim of theirs tells apart. @default all are
   */
  accepts: Type.Optional(Type.Function<(claims: Readonly<Record<string, unknown>>) => boolean>())
})
export type LegacyTokensOptions = Static<typeof LegacyTokensSchema>

const dayPattern = /^\d{4}-\d{2}-\d{2}$/
const DAY = 86_400_000
const LONGEST = 90

export function validateLegacy ({ until }: LegacyTokensOptions, path: string, problems: Problems): void {
  // Of anything else the schema has told.
  if (typeof until !== 'string' || !dayPattern.test(until)) return
  const end = Date.parse(until)
  const now = (movedClock()?.now ?? Date.now)()
  if (Number.isNaN(end)) {
    problems.add('SECURE_API_OPTION_VALUE', `${path}.until`, `${until} is no day`, "Write a day that exists: '2027-01-31'.")
  } else if (end > now + LONGEST * DAY) {
    problems.add('SECURE_API_OPTION_RANGE', `${path}.until`, `${until} is more than ${LONGEST} days away: a migration would have no end`,
      `Give a day before ${new Date(now + LONGEST * DAY).toISOString().slice(0, 10)}.`)
  }
}

/** The old form of the own tokens: which they are, and as what they are read. */
export interface LegacyForm {
  readonly rules: IssuerRules<'HS256'>
  /** The claims as they would be today; undefined where the token is none of these. Never throws. */
  adopt (typ: string | undefined, claims: UncheckedClaims): UncheckedClaims | undefined
}

/**
 * What is absent is filled in from the options, so that all checks, limits and revocations go by one form. What is there is
 * kept, and checked: another issuer or audience is refused.
 */
export function legacyForm (options: LegacyTokensOptions, rules: IssuerRules<'HS256'>): LegacyForm {
  const { until, subject = 'sub', accepts = () => true } = options
  const end = Date.parse(until) / 1000
  const [audience] = rules.audience
  return {
    rules: Object.freeze({ ...rules, profile: 'legacy', maxLifetime: Infinity, clockTolerance: 0 }),
    adopt (typ, claims) {
      if ((typ !== undefined && typ !== 'jwt') || !isOurs(claims, rules) || !isAccepted(accepts, claims)) return undefined
      const { exp = end, aud = audience } = claims
      const named = Object.hasOwn(claims, subject) ? claims[subject] : undefined
      const sub = Number.isSafeInteger(named) ? String(named) : named
      return {
        ...claims,
        iss: rules.issuer,
        aud,
        exp: typeof exp === 'number' ? Math.min(exp, end) : exp,
        // Also where it is absent: a `sub` beside another claim for users named something else, such as the kind of a link.
        sub
      }
    }
  }
}

function isOurs ({ iss }: UncheckedClaims, { issuer }: IssuerRules): boolean {
  return iss === undefined || iss === issuer
}

/** A function of the application that throws accepts nothing. */
function isAccepted (accepts: NonNullable<LegacyTokensOptions['accepts']>, claims: UncheckedClaims): boolean {
  try {
    return accepts({ ...claims }) === true
  } catch {
    return false
  }
}
