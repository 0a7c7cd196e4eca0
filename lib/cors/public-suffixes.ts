import type { CorsOptions } from './options.ts'

/** Whether strangers can register names under a domain (publicsuffix.org), by the companies' part of the list too. */
export type IsPublicSuffix = (domain: string) => boolean

let loaded: IsPublicSuffix | undefined

/** The list, once it has been loaded. */
export function publicSuffixes (): IsPublicSuffix | undefined {
  return loaded
}

/** Loads the list: 40 ms and 10 MB, which only those pay who write a pattern. */
export async function loadPublicSuffixes (): Promise<IsPublicSuffix> {
  const { getPublicSuffix } = await import('tldts')
  // No suffix at all means that this is no host name by the list's rules, and not that it is one's own.
  loaded = domain => [domain, null].includes(getPublicSuffix(domain, { allowPrivateDomains: true }))
  return loaded
}

/** Whether these options can only be judged with the list. Looks at options that nobody has checked yet. */
export function needsPublicSuffixes ({ origins, credentials, dangerouslyAllowPublicSuffixes }: Partial<CorsOptions>): boolean {
  const listed: unknown = origins
  return credentials === true && dangerouslyAllowPublicSuffixes !== true &&
    Array.isArray(listed) && listed.some(origin => typeof origin === 'string' && origin.includes('://*.'))
}
