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
  SECURE_API_ROUTE_NOT_AUTHENTICATED: 'A route states a rule, but no authentication is registered that could fill request.auth.'
} as const

export type ConfigurationCode = keyof typeof configurationCodes
