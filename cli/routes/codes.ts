export type Severity = 'error' | 'warning' | 'note'

/** From the gravest to the lightest. */
export const severities = ['error', 'warning', 'note'] as const satisfies readonly Severity[]

export interface FindingKind {
  readonly severity: Severity
  /** What it means, for the reference. */
  readonly meaning: string
  readonly fix: string
}

/** Every finding of `secure-api routes --check`, by its stable code. */
export const findingCodes = {
  SECURE_API_POSTURE_NO_SUITE: {
    severity: 'error',
    meaning: 'The application does not register the suite',
    fix: 'Register fastify-secure-api at the root; with `fastify start` give `-o` and export `options = { skipOverride: true }`.'
  },
  SECURE_API_POSTURE_NO_AUTHENTICATION: {
    severity: 'error',
    meaning: 'The suite runs with `auth: false`, so every route is open',
    fix: 'Configure `auth`, or accept this finding in a baseline.'
  },
  SECURE_API_POSTURE_OUTSIDE: {
    severity: 'error',
    meaning: 'The route is outside the scope of the suite: no authentication, no limit, no headers',
    fix: 'Register the suite at the root and before the route, or wrap the plugin that registers it in fastify-plugin.'
  },
  SECURE_API_POSTURE_NO_RULE: {
    severity: 'error',
    meaning: 'The route has no rule and refuses everyone',
    fix: 'Give it `scope`, `role`, `policy`, `authenticated: true` or `public: true` in its config.'
  },
  SECURE_API_POSTURE_PUBLIC_UNSAFE: {
    severity: 'error',
    meaning: 'Strangers can change something here without a tight limit (at most 10 requests a minute, 60 at once)',
    fix: "Give it `rateLimit: { limit: 10, window: '1 minute' }`, or require a credential. For sign-in see `app.loginGuard`."
  },
  SECURE_API_POSTURE_WILDCARD: {
    severity: 'error',
    meaning: 'A scope, role or policy contains `*`, which is compared literally: the rule fits nobody, or only a token with that name',
    fix: 'Name each scope; several with `{ any: [...] }`.'
  },
  SECURE_API_POSTURE_SHARED_CACHE: {
    severity: 'error',
    meaning: 'Shared caches may store a response for one caller (RFC 9111 section 3.5)',
    fix: 'Remove `public`, `s-maxage` and `must-revalidate` from `headers.cacheControl`, or write `private`.'
  },
  SECURE_API_POSTURE_EARLY: {
    severity: 'warning',
    meaning: 'The route was declared before the suite: it is guarded, but its config is checked only at its first request',
    fix: 'Register the suite first, and await it.'
  },
  SECURE_API_POSTURE_AUTHENTICATED_ONLY: {
    severity: 'warning',
    meaning: 'Any valid token can change something here, whatever it was issued for',
    fix: 'Require a scope or a role, or ask a policy: `config.policy`, `request.authorize()`.'
  },
  SECURE_API_POSTURE_LIMIT_OFF: {
    severity: 'warning',
    meaning: 'The route has no rate limit of its own; only the one by address holds',
    fix: 'Remove `rateLimit: false`, or name a policy.'
  },
  SECURE_API_POSTURE_LIMIT_DRY_RUN: {
    severity: 'warning',
    meaning: 'The limits of the route only count and refuse nobody',
    fix: 'Remove `dryRun` once the numbers are right.'
  },
  SECURE_API_POSTURE_ADDRESS_LIMIT_OFF: {
    severity: 'warning',
    meaning: 'A limit by address is off: floods are verified one by one, or credentials can be guessed without limit',
    fix: 'Remove `rateLimit.perAddress: false` or `rateLimit.failures: false`.'
  },
  SECURE_API_POSTURE_CONTROL_OFF: {
    severity: 'warning',
    meaning: 'A control is switched off for the whole application',
    fix: 'Remove `headers: false`, `rateLimit: false` or `audit: false`, or accept this finding in a baseline.'
  },
  SECURE_API_POSTURE_CORS_WIDER: {
    severity: 'warning',
    meaning: 'Web origins may do more on this route than the application allows elsewhere',
    fix: 'Remove what is wider from `config.cors`, or move it to the option `cors` when it is meant for all.'
  },
  SECURE_API_POSTURE_CORS_ANY_ORIGIN: {
    severity: 'warning',
    meaning: 'Any web page can read the responses of this application',
    fix: 'List the origins in `cors.origins`.'
  },
  SECURE_API_POSTURE_HEADERS_WEAKENED: {
    severity: 'warning',
    meaning: 'The route sends weaker security headers than the application',
    fix: 'Remove the option from `config.headers`, or state the narrowest value that works.'
  },
  SECURE_API_POSTURE_AUDIT_OFF: {
    severity: 'warning',
    meaning: 'Successful changes leave no trace in the audit trail',
    fix: 'Remove `audit: false`, or give the action a name.'
  },
  SECURE_API_POSTURE_BASELINE_STALE: {
    severity: 'warning',
    meaning: 'The baseline accepts a finding that no longer exists',
    fix: 'Remove the entry, or run with --update-baseline.'
  },
  SECURE_API_POSTURE_RULE_BY_DEFAULT: {
    severity: 'note',
    meaning: "The route states no rule; `authorization.default: 'authenticated'` admits every caller with a token",
    fix: 'State the rule on the route, where readers see it.'
  },
  SECURE_API_POSTURE_PUBLIC_WILDCARD: {
    severity: 'note',
    meaning: 'A public wildcard also answers for every path under it that has no route of its own',
    fix: 'Make sure that nothing else belongs under it.'
  }
} as const satisfies Readonly<Record<string, FindingKind>>

export type FindingCode = keyof typeof findingCodes
