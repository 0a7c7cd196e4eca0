/**
 * The `iss` of tokens for development. Names under `.invalid` never belong to anybody (RFC 2606 §2, RFC 6761 §6.4), so
 * that no provider can have it and nobody can answer for its keys.
 */
export const DEVELOPMENT_ISSUER = 'https://development.invalid'

/** Whether this is the development issuer, in any spelling that a URL may have. */
export function isDevelopmentIssuer (issuer: string): boolean {
  if (!URL.canParse(issuer)) return false
  const host = new URL(issuer).hostname.replace(/\.$/, '')
  return host === 'development.invalid'
}
