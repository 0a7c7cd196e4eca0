import type { FindingKind } from '../routes/codes.ts'

export interface UsageFindingKind extends FindingKind {
  /** For `--fail-on`. */
  readonly kind: string
}

/** Every finding of `secure-api audit report`, by its stable code. */
export const usageFindingCodes = {
  SECURE_API_USAGE_CLIENT_WIDE: {
    kind: 'client-wide',
    severity: 'warning',
    meaning: 'The tokens of this client carry at least five scopes, and its calls needed a third of them or fewer',
    fix: 'Issue it tokens with the scopes that it needs. Who steals one of its tokens today gets all the others too.'
  },
  SECURE_API_USAGE_SCOPES_UNUSED: {
    kind: 'scopes-unused',
    severity: 'warning',
    meaning: 'The tokens of this client carry scopes that none of its calls needed',
    fix: 'Take them from the client at the identity provider or in the key file, if it has no rare job that needs them.'
  },
  SECURE_API_USAGE_SCOPE_IDLE: {
    kind: 'scope-idle',
    severity: 'warning',
    meaning: 'Tokens carry this scope, and no call of anybody needed it',
    fix: 'Stop granting it. If a handler or a policy looks at it, let the route state it: `scope` in its `config`.'
  },
  SECURE_API_USAGE_CALLER_REFUSED: {
    kind: 'caller-refused',
    severity: 'warning',
    meaning: 'This caller was never answered with anything but 403',
    fix: 'Give it the right that it lacks, or find out who tries. The `denial` of its events says what was missing.'
  },
  SECURE_API_USAGE_PUBLIC_FAILURES: {
    kind: 'public-failures',
    severity: 'warning',
    meaning: 'More than 20 % of at least 50 calls of this public route failed or were refused, over three times the median of the others',
    fix: 'Look at its events: strangers who guess, a client that is broken, or a limit that is too narrow.'
  },
  SECURE_API_USAGE_SCOPE_NEVER_CARRIED: {
    kind: 'scope-never-carried',
    severity: 'note',
    meaning: 'Routes ask for this scope, and nobody ever carried it',
    fix: 'Remove it from the rules, or grant it: nobody can get in by it. A misspelt name looks like this too.'
  },
  SECURE_API_USAGE_ROUTE_UNCALLED: {
    kind: 'route-uncalled',
    severity: 'note',
    meaning: 'Nobody called this route',
    fix: 'Remove it if it has no rare job: what is not there cannot be attacked.'
  }
} as const satisfies Readonly<Record<string, UsageFindingKind>>

export type UsageCode = keyof typeof usageFindingCodes
export const findingKinds: readonly string[] = Object.values(usageFindingCodes).map(({ kind }) => kind)
