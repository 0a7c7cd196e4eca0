import type { Problems } from '../config/index.ts'
import type { AuthorizationOptions } from './options.ts'

/** Checks the patterns themselves. What stands beside them is judged with the routes, as if it stood in their `config`. */
export function checkPatterns (rules: NonNullable<AuthorizationOptions['routes']>, path: string, problems: Problems): void {
  for (const [pattern, rule] of Object.entries(rules)) {
    const at = `${path}['${pattern}']`
    if (!pattern.startsWith('/') && pattern !== '*') {
      problems.add('SECURE_API_ROUTE_PATTERN_INVALID', at, 'the path of a route begins with a slash', `Write '/${pattern}'.`)
    }
    if (Object.keys(rule).length === 0) problems.add('SECURE_API_OPTION_EMPTY', at, 'it says nothing about these routes', 'State a rule, `public: true`, or another route option.')
    if (pattern === '/*' && Object.hasOwn(rule, 'public')) {
      problems.add('SECURE_API_ROUTE_PATTERN_INVALID', at, 'every route without a rule would be public', 'Name the paths that strangers may call.')
    }
  }
}
