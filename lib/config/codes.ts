/**
 * Every mistake that stops the boot, by its stable code. `docs/errors.md` is checked against this table.
 * A code is never reused for another meaning.
 */
export const configurationCodes = {
  SECURE_API_OPTION_UNKNOWN: 'An option or route option that does not exist, most often a misspelling.',
  SECURE_API_OPTION_MISSING: 'A required option is absent.',
  SECURE_API_OPTION_UNDEFINED: 'An option was given, but its value is undefined: usually an environment variable that is not set.',
  SECURE_API_OPTION_TYPE: 'An option has the wrong type.',
  SECURE_API_OPTION_EMPTY: 'An option is an empty string, list or object, which would not say what it means.',
  SECURE_API_OPTION_RANGE: 'A number or duration lies outside what is allowed.',
  SECURE_API_OPTION_VALUE: 'An option has a value that is not one of those allowed.',
  SECURE_API_OPTION_CONFLICT: 'Two options contradict each other.',
  SECURE_API_ALREADY_REGISTERED: 'The suite, or one of its plugins, was registered a second time in the same scope.',
  SECURE_API_ENVIRONMENT_MISSING: 'The suite was registered without options and a SECURE_API_… variable is not set.',
  SECURE_API_ENVIRONMENT_BOTH_SET: 'Both a variable and its …_FILE form are set.',
  SECURE_API_ENVIRONMENT_FILE: 'The file that a …_FILE variable names cannot be read or is empty.',
  SECURE_API_ROUTE_PUBLIC_WITH_RULE: 'A route is public and states a rule at the same time.',
  SECURE_API_ROUTE_SCOPE_BARE_ARRAY: 'A bare array of scopes, roles or policies does not say whether all or any are needed.',
  SECURE_API_ROUTE_POLICY_UNKNOWN: 'A route names an authorization policy that is not configured.',
  SECURE_API_ROUTE_RATE_LIMIT_UNKNOWN: 'A route names a rate-limit policy that is not configured.',
  SECURE_API_ROUTE_NOT_AUTHENTICATED: 'A route states a rule, but no authentication is registered that could fill request.auth.',
  SECURE_API_HEADERS_CSP_INVALID: 'A directive or source of a Content-Security-Policy does not exist or is miswritten, most often a keyword without its quotes.',
  SECURE_API_HEADERS_CSP_DUPLICATE: 'A Content-Security-Policy names a directive twice.',
  SECURE_API_HEADERS_CSP_NO_DEFAULT: 'A Content-Security-Policy has no default-src.',
  SECURE_API_HEADERS_CSP_UNSAFE: 'A Content-Security-Policy lets injected scripts run.',
  SECURE_API_HEADERS_CSP_REPORT_ONLY_WITHOUT_ENDPOINT: 'A report-only policy reports to nobody.',
  SECURE_API_HEADERS_REPORTING_ENDPOINT: 'A reporting endpoint does not exist, has an unusable name, or is not reached over https.',
  SECURE_API_HEADERS_HSTS_PRELOAD: 'HSTS preload without a year of max-age and all subdomains.',
  SECURE_API_HEADERS_HSTS_MAX_AGE: 'The age of HSTS is next to nothing: most often seconds given as milliseconds.',
  SECURE_API_HEADERS_HSTS_NO_TLS: 'HSTS was asked for in production, but neither TLS nor a trusted proxy is configured.',
  SECURE_API_HEADERS_PERMISSIONS_POLICY: 'A feature or an allowlist of the Permissions-Policy is miswritten.',
  SECURE_API_HEADERS_CACHE_CONTROL: 'A Cache-Control directive does not exist.',
  SECURE_API_HEADERS_CONFLICT: 'X-Frame-Options and frame-ancestors contradict each other.',
  SECURE_API_HEADERS_VALUE_CHARS: 'A header value holds a line break or a character that no header may hold.',
  SECURE_API_HEADERS_INVALID: 'helmet refuses the header options.',
  SECURE_API_URL_INVALID: 'An address is not a URL of the form that is needed there.',
  SECURE_API_URL_INSECURE: 'An address would be asked over http, where anyone on the way can change the answer.',
  SECURE_API_JWKS_KEY: 'A key of an inline key set cannot be used.',
  SECURE_API_JWKS_EMPTY: 'An inline key set has no key that may verify tokens.',
  SECURE_API_REDIS_CLIENT_MISSING: 'A Redis URL was given, and the package ioredis is not installed.'
} as const

export type ConfigurationCode = keyof typeof configurationCodes
