import { createRequire } from 'node:module'

/** What package.json says does not change, and errors of requests ask too. */
let own: { readonly homepage: string | undefined } | undefined

/**
 * Where a code is explained: on the site that package.json names as `homepage`, or in the folder that npm installed.
 *
 * @example
 * pageOf('SECURE_API_OPTION_TYPE') // node_modules/fastify-secure-api/docs/errors.md#secure_api_option_type
 */
export function pageOf (code: string, read?: (name: string) => unknown): string {
  own ??= { homepage: homepageOf(createRequire(import.meta.url)) }
  const homepage = read === undefined ? own.homepage : homepageOf(read)
  const page = homepage === undefined ? 'node_modules/fastify-secure-api/docs/errors.md' : `${homepage.replace(/\/*$/, '')}/errors`
  return `${page}#${code.toLowerCase()}`
}

/** A text for developers, with the page of its code at the end. Codes of others have no page here. */
export function linked (text: string, code: unknown): string {
  if (typeof code !== 'string' || !code.startsWith('SECURE_API_')) return text
  return `${/[.!?]$/.test(text) ? text : `${text}.`} See ${pageOf(code)}`
}

/** A bundle has no package.json beside it, and a mistake must be told there too. */
function homepageOf (read: (name: string) => unknown): string | undefined {
  try {
    return (read('fastify-secure-api/package.json') as { homepage?: string }).homepage
  } catch {
    return undefined
  }
}
