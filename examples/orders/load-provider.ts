import type Provider from 'oidc-provider'

/**
 * Loads oidc-provider 9 on every Node that this project supports. It warns below Node 22, of which all it uses is
 * `URL.parse`: early releases of Node 20 lack that, so it is filled in, and the warning is held back.
 */
export async function loadProvider (): Promise<typeof Provider> {
  if (!('parse' in URL)) Object.defineProperty(URL, 'parse', { value: parseUrl, configurable: true, writable: true })
  const warn = console.warn
  console.warn = () => {}
  try {
    return (await import('oidc-provider')).default
  } finally {
    console.warn = warn
  }
}

function parseUrl (url: string, base?: string): URL | null {
  return URL.canParse(url, base) ? new URL(url, base) : null
}
