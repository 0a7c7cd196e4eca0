import type { CorsOptions } from './options.ts'

/** Whether strangers can register names under a domain (publicsuffix.org, private section included). */
export type IsPublicSuffix = (domain: string) => boolean

let loaded: IsPublicSuffix | undefined

/** The list, once loaded. */
export function publicSuffixes (): IsPublicSuffix | undefined {
  return loaded
}

/** Loads the list (40 ms, 10 MB); needed for patterns only. */
export async function loadPublicSuffixes (): Promise<IsPublicSuffix> {
  const { getPublicSuffix } = await import('tldts')
  // null means that the list does not take this for a host name, not that the domain is safe.
  loaded = domain => [domain, null].includes(getPublicSuffix(domain, { allowPrivateDomains: true }))
  return loaded
}

/** Whether these options need the list. They may be unchecked. */
export function needsPublicSuffixes ({ origins, credentials, dangerouslyAllowPublicSuffixes }: Partial<CorsOptions>): boolean {
  const listed: unknown = origins
  return credentials === true && dangerouslyAllowPublicSuffixes !== true &&
    Array.isArray(listed) && listed.some(origin => typeof origin === 'string' && origin.includes('://*.'))
}
