import { createRequire } from 'node:module'

/**
 * Where a code is explained: on the site that package.json names as `homepage`, or in the folder that npm installed.
 *
 * @example
 * pageOf('SECURE_API_OPTION_TYPE') // node_modules/fastify-secure-api/docs/errors.md#secure_api_option_type
 */
export function pageOf (code: string, read: (name: string) => unknown = createRequire(import.meta.url)): string {
  const homepage = homepageOf(read)
  const page = homepage === undefined ? 'node_modules/fastify-secure-api/docs/errors.md' : `${homepage.replace(/\/*$/, '')}/errors`
  return `${page}#${code.toLowerCase()}`
}

/** A bundle has no package.json beside it, and a mistake must be told there too. */
function homepageOf (read: (name: string) => unknown): string | undefined {
  try {
    return (read('fastify-secure-api/package.json') as { homepage?: string }).homepage
  } catch {
    return undefined
  }
}
