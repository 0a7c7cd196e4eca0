import { immutableSet, type Principal } from '../credentials/index.ts'
import type { Presented } from './certificate.ts'
import type { CertificatePrincipal } from './options.ts'
import { readSan, readThumbprint } from './names.ts'

interface Match { readonly principal: CertificatePrincipal, readonly by: string }

/**
 * Who stands behind a certificate. A thumbprint counts more than a name, a whole name more than a pattern. A certificate that two
 * principals share in the same way is nobody's: which of them calls would be a guess.
 */
export class CertificatePrincipals {
  readonly #thumbprints = new Map<string, CertificatePrincipal>()
  readonly #names = new Map<string, CertificatePrincipal>()
  readonly #patterns: { readonly pattern: RegExp, readonly principal: CertificatePrincipal }[] = []

  /** Expects validated options. */
  constructor (principals: readonly CertificatePrincipal[]) {
    for (const principal of principals) {
      const { san, thumbprint } = principal
      if (thumbprint !== undefined) this.#thumbprints.set(readThumbprint(thumbprint) ?? thumbprint, principal)
      const name = san === undefined ? undefined : readSan(san)
      if (name !== undefined && 'exact' in name) this.#names.set(name.exact, principal)
      else if (name !== undefined) this.#patterns.push({ pattern: name.pattern, principal })
    }
  }

  find (presented: Presented): Principal | undefined {
    const match = this.#byThumbprint(presented) ?? this.#byName(presented)
    return match && principalOf(match, presented)
  }

  #byThumbprint ({ thumbprint = '' }: Presented): Match | undefined {
    const principal = this.#thumbprints.get(thumbprint)
    return principal && { principal, by: thumbprint }
  }

  #byName (presented: Presented): Match | undefined {
    const names = usableNames(presented)
    const exact = names.flatMap(by => {
      const principal = this.#names.get(by)
      return principal === undefined ? [] : [{ principal, by }]
    })
    if (exact.length > 0) return only(exact)
    return only(names.flatMap(by => this.#patterns.filter(({ pattern }) => pattern.test(by)).map(({ principal }) => ({ principal, by }))))
  }
}

function only (matches: readonly Match[]): Match | undefined {
  const [first] = matches
  return matches.every(({ principal }) => principal === first?.principal) ? first : undefined
}

/** A SPIFFE ID stands alone among the URIs of its certificate (X509-SVID §2). A wildcard is a server's, and names nobody. */
function usableNames ({ names }: Presented): readonly string[] {
  const several = names.filter(name => name.startsWith('uri:')).length > 1
  return names.filter(name => !name.startsWith('dns:*') && !(several && name.startsWith('uri:spiffe:')))
}

function principalOf ({ principal, by }: Match, { names, thumbprint, serial, notAfter }: Presented): Principal {
  const { subject, scopes = [], roles = [], tenant } = principal
  return Object.freeze({
    kind: 'service',
    credential: 'certificate',
    ...(thumbprint !== undefined && { boundTo: thumbprint }),
    subject,
    client: by,
    issuer: 'client-certificate',
    ...(tenant !== undefined && { tenant }),
    scopes: immutableSet(scopes),
    roles: immutableSet(roles),
    claims: Object.freeze({ san: Object.freeze([...names]), thumbprint, serial }),
    expiresAt: notAfter
  })
}
