import { check, Problems, Type, type Static } from '../config/index.ts'
import { validateTrustProxy } from '../server/index.ts'
import type { ForwardedFormat } from './forwarded.ts'
import { readSan, readThumbprint } from './names.ts'

const NamesSchema = Type.Array(Type.String(), { minItems: 1 })

const PrincipalSchema = Type.Object({
  /**
   * A name of the certificate: `'dns:orders.internal'`, `'uri:spiffe://example.org/ns/shop/sa/orders'`. A `*` may stand for the first label
   * of a host before at least two others, and for a whole segment of a SPIFFE ID.
   */
  san: Type.Optional(Type.String()),
  /** Instead: SHA-256 of this one certificate, in hex (`openssl x509 -fingerprint -sha256`) or base64url. */
  thumbprint: Type.Optional(Type.String()),
  /** What `request.auth.subject` says: the service's name, for limits, rules and the audit trail. */
  subject: Type.String(),
  /** @default none */
  scopes: Type.Optional(NamesSchema),
  /** @default none */
  roles: Type.Optional(NamesSchema),
  /** @default none */
  tenant: Type.Optional(Type.String())
})

const HeaderSchema = Type.Object({
  /** The header in which the proxy hands the certificate on. It must overwrite or remove what callers send in it. */
  header: Type.Union([Type.Literal('client-cert'), Type.Literal('x-ssl-client-cert'), Type.Literal('x-forwarded-client-cert')]),
  /**
   * `'rfc9440'` for `Client-Cert`, `'nginx'` for `$ssl_client_escaped_cert`, `'envoy'` for `x-forwarded-client-cert`.
   * @default by the name of the header
   */
  format: Type.Optional(Type.Union([Type.Literal('rfc9440'), Type.Literal('nginx'), Type.Literal('envoy')])),
  /** Addresses and networks of the proxies. From any other address a request with this header is refused. */
  trusted: Type.Array(Type.String(), { minItems: 1 })
})

/** The option `auth.clientCertificates`. */
export const ClientCertificatesSchema = Type.Object({
  /** `'tls'`: from the connection, as `secureServer({ tls: { clientCertificates } })` verified it. Or from a header of a trusted proxy. */
  from: Type.Union([Type.Literal('tls'), HeaderSchema]),
  /** Who is known by which certificate. All others are 401. */
  principals: Type.Array(PrincipalSchema, { minItems: 1 }),
  /**
   * With a header: the authorities that may issue, as the path of a file or PEM text. Each certificate is verified again. List the
   * authorities between too: no chain is built.
   */
  ca: Type.Optional(Type.String({ secret: true })),
  /** `'by-proxy'`: the proxy verifies, and nothing is verified again. Instead of `ca`. */
  verified: Type.Optional(Type.Literal('by-proxy')),
  /**
   * Revocation lists of the authorities in `ca`, as the path of a file or PEM text. A file is read again every 10 seconds, and counts for
   * open connections too. A list that is over is 503. With `secureServer()` its own list is used instead.
   */
  crl: Type.Optional(Type.String({ secret: true }))
})
type Written = Static<typeof ClientCertificatesSchema>

/** Someone who is known by a certificate. */
export type CertificatePrincipal = Static<typeof PrincipalSchema>
/** Where a proxy hands certificates on. */
export type CertificateHeader = Static<typeof HeaderSchema>

/** Callers by client certificate: services, as a rule. */
export type ClientCertificatesOptions = Omit<Written, 'from' | 'principals'> & {
  from: 'tls' | CertificateHeader
  principals: CertificatePrincipal[]
}

const formats: Readonly<Record<CertificateHeader['header'], ForwardedFormat>> = {
  'client-cert': 'rfc9440', 'x-ssl-client-cert': 'nginx', 'x-forwarded-client-cert': 'envoy'
}

export function formatOf ({ header, format }: CertificateHeader): ForwardedFormat {
  return format ?? formats[header]
}

/** What the schema cannot say. Of options that do not fit it, nothing more is said. */
export function validateClientCertificates (options: ClientCertificatesOptions, path: string, problems: Problems): void {
  if (!new Problems().clean(found => check(ClientCertificatesSchema, options, path, found))) return
  validatePrincipals(options.principals, `${path}.principals`, problems)
  const { from, ca, verified, crl } = options
  if (from !== 'tls') validateTrustProxy(from.trusted, problems, `${path}.from.trusted`)
  if (from !== 'tls' && ca === undefined && verified === undefined) {
    problems.add('SECURE_API_OPTION_MISSING', `${path}.ca`, 'without it nothing says which certificates are good',
      "Give the authorities that issue them, or `verified: 'by-proxy'` where the proxy alone decides.")
  }
  if (verified !== undefined && (ca !== undefined || from === 'tls')) {
    const why = from === 'tls' ? 'certificates of the connection are verified by TLS' : '`ca` says that certificates are verified here'
    problems.add('SECURE_API_OPTION_CONFLICT', `${path}.verified`, why, 'Leave it out.')
  }
  if (crl !== undefined && ca === undefined) {
    problems.add('SECURE_API_OPTION_MISSING', `${path}.ca`, '`crl` is checked against the authority that signed it', 'Add `ca`.')
  }
}

function validatePrincipals (principals: readonly CertificatePrincipal[], path: string, problems: Problems): void {
  const known = new Set<string>()
  for (const [index, { san, thumbprint }] of principals.entries()) {
    const at = `${path}[${index}]`
    if ((san === undefined) === (thumbprint === undefined)) {
      problems.add(san === undefined ? 'SECURE_API_OPTION_MISSING' : 'SECURE_API_OPTION_CONFLICT', `${at}.san`,
        'a principal is known by a name or by one certificate', 'Give either `san` or `thumbprint`.')
      continue
    }
    const key = san === undefined ? thumbprintKey(thumbprint ?? '', at, problems) : sanKey(san, at, problems)
    if (key !== undefined && known.has(key)) {
      problems.add('SECURE_API_OPTION_CONFLICT', `${at}.${san === undefined ? 'thumbprint' : 'san'}`,
        'another principal is known by the same', 'Keep one of them.')
    }
    if (key !== undefined) known.add(key)
  }
}

function sanKey (san: string, at: string, problems: Problems): string | undefined {
  const name = readSan(san)
  if (name !== undefined) return 'exact' in name ? name.exact : name.pattern.source
  problems.add('SECURE_API_OPTION_VALUE', `${at}.san`, `'${san.slice(0, 100)}' is no name that a certificate could be known by`,
    "Write 'dns:orders.internal' or 'uri:spiffe://example.org/sa/orders'; `*` only as 'dns:*.shop.internal' or a segment.")
  return undefined
}

function thumbprintKey (thumbprint: string, at: string, problems: Problems): string | undefined {
  const key = readThumbprint(thumbprint)
  if (key !== undefined) return key
  problems.add('SECURE_API_OPTION_VALUE', `${at}.thumbprint`, 'it is not SHA-256 in hex or base64url',
    'Take it from `openssl x509 -in client.pem -noout -fingerprint -sha256`.')
  return undefined
}
