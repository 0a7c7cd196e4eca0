import { createRequire } from 'node:module'

/**
 * Where a code is explained: on the site that package.json names as `homepage`, or in the folder that npm installed.
 *
 * @example
 * pageOf('SECURE_API_OPTION_TYPE') // node_modules/fastify-secure-api/docs/errors.md#secure_api_option_type
 */
export function pageOf (code: string): string {
  const { homepage } = createRequire(import.meta.url)('fastify-secure-api/package.json') as { homepage?: string }
  const page = homepage === undefined ? 'node_modules/fastify-secure-api/docs/errors.md' : `${homepage.replace(/\/*$/, '')}/errors`
  return `${page}#${code.toLowerCase()}`
}
