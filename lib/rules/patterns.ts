import type { Problems } from '../config/index.ts'
import type { AuthorizationOptions } from './options.ts'

/** Checks the patterns. Their options are checked with the routes, as if stated in their `config`. */
export function checkPatterns (rules: NonNullable<AuthorizationOptions['routes']>, path: string, problems: Problems): void {
  for (const [pattern, rule] of Object.entries(rules)) {
    const at = `${path}['${pattern}']`
    if (!pattern.startsWith('/') && pattern !== '*') {
      problems.add('SECURE_API_ROUTE_PATTERN_INVALID', at, 'a route path starts with a slash', `Write '/${pattern}'.`)
    }
    if (Object.keys(rule).length === 0) {
      problems.add('SECURE_API_OPTION_EMPTY', at, 'it has no options', 'State a rule, `public: true`, or another route option.')
    }
    if (pattern === '/*' && Object.hasOwn(rule, 'public')) {
      problems.add('SECURE_API_ROUTE_PATTERN_INVALID', at, 'it would open every route without a rule', 'List the public paths.')
    }
  }
}
