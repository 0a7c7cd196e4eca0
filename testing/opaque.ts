import { randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'

type Claims = Readonly<Record<string, unknown>>
interface Issued { readonly claims: Claims, readonly now: () => number }

/** Tokens that only the test issuer can read, and its introspection endpoint (RFC 7662) for the one client that may ask. */
export class OpaqueTokens {
  readonly #issued = new Map<string, Issued>()
  readonly #expected: string

  constructor ({ id, secret }: { readonly id: string, readonly secret: string }) {
    this.#expected = `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`
  }

  issue (claims: Claims, now: () => number): string {
    const token = randomBytes(24).toString('base64url')
    this.#issued.set(token, { claims, now })
    return token
  }

  revoke (token: string): void {
    this.#issued.delete(token)
  }

  /** What is said of the token in a request; undefined for strangers. */
  async look (request: IncomingMessage): Promise<object | undefined> {
    const token = new URLSearchParams(await text(request)).get('token') ?? ''
    if (request.headers.authorization !== this.#expected) return undefined
    const issued = this.#issued.get(token)
    const { exp = Infinity } = issued?.claims ?? {}
    return issued !== undefined && Number(exp) * 1000 > issued.now() ? { active: true, ...issued.claims } : { active: false }
  }
}
