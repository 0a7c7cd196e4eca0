/** One label of a host name, and a host name: letters, digits, hyphens, underscores. */
const label = '[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?'
const host = new RegExp(`^(?:\\*\\.)?${label}(?:\\.${label})*$`)
/** The characters of RFC 3986 §2 after a scheme. */
const uri = /^[A-Za-z][A-Za-z0-9+.-]*:[\w\-.~:/?#@!$&'()*+,;=%[\]]+$/
const longest = 2048

/**
 * A name of a certificate as `dns:` or `uri:` and its text. Undefined for what is no plain name: NUL, spaces, quotes and the like stand in
 * names that shall be read differently by different programs (CVE-2021-44532).
 */
export function nameOf (kind: 'dns' | 'uri', text: string): string | undefined {
  if (text.length > longest) return undefined
  const written = kind === 'dns' ? text.toLowerCase() : text
  return (kind === 'dns' ? host : uri).test(written) ? `${kind}:${written}` : undefined
}

/** A name that a principal is known by: one name exactly, or a pattern. */
export type NamePattern = { readonly exact: string } | { readonly pattern: RegExp }

/** A label after `*.`, at least two of them: `*.internal` would be every host of a company. */
const wildcardHost = new RegExp(`^\\*((?:\\.${label}){2,})$`)
/** The paths of SPIFFE IDs (SPIFFE-ID §2.2); `.` and `..` are no segments. */
const segment = '(?!\\.{1,2}(?:/|$))[A-Za-z0-9._-]+'
const wildcardSpiffe = new RegExp(`^spiffe://[a-z0-9._-]+(?:/(?:\\*|${segment}))+$`)

/** Reads an entry of `principals`: `dns:` or `uri:` and a name, where `*` may stand for the first label or for a segment of a SPIFFE ID. */
export function readSan (written: string): NamePattern | undefined {
  const [, kind, text = ''] = /^(dns|uri):(.+)$/.exec(written) ?? []
  if (kind !== 'dns' && kind !== 'uri') return undefined
  if (!text.includes('*')) return exactly(nameOf(kind, text))
  return kind === 'dns' ? hostPattern(text.toLowerCase()) : spiffePattern(text)
}

function exactly (name: string | undefined): NamePattern | undefined {
  return name === undefined ? undefined : { exact: name }
}

function hostPattern (text: string): NamePattern | undefined {
  const [, rest] = wildcardHost.exec(text) ?? []
  return rest === undefined ? undefined : { pattern: new RegExp(`^dns:${label}${escaped(rest)}$`) }
}

function spiffePattern (text: string): NamePattern | undefined {
  if (!wildcardSpiffe.test(text)) return undefined
  const parts = text.split('*').map(escaped)
  return { pattern: new RegExp(`^uri:${parts.join(segment)}$`) }
}

function escaped (text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')
}

/** SHA-256 of the certificate in hex, with or without the colons of openssl, or in base64url; as base64url. */
export function readThumbprint (written: string): string | undefined {
  const hex = written.replaceAll(':', '')
  if (/^[0-9a-f]{64}$/i.test(hex)) return Buffer.from(hex, 'hex').toString('base64url')
  const bytes = Buffer.from(written, 'base64url')
  return bytes.length === 32 && bytes.toString('base64url') === written ? written : undefined
}
