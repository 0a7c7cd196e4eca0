import type { FastifyRequest } from 'fastify'
import { after } from '../async/index.ts'
import { isRepeated } from './bearer.ts'
import type { Failed, Judged, Scheme, Unverified, Verification } from './scheme.ts'

const ambiguous: Failed = Object.freeze({ kind: 'failed', code: 'SECURE_API_CREDENTIAL_AMBIGUOUS' })

/**
 * The one credential of a request. Two that its sender put there are refused (RFC 6750 §2, RFC 9700 §4.3.2): which of them counts would
 * be a guess, and whoever stands in front may guess otherwise. What comes by itself, from the connection or a cookie, is looked at only
 * where nothing was put there: a service in a mesh sends the tokens of its users over its own certificate.
 */
export class Schemes {
  readonly #explicit: readonly Scheme[]
  readonly #ambient: readonly Scheme[]
  readonly #wary: readonly Scheme[]
  /** The only scheme, which most applications have. */
  readonly #only: Scheme | undefined

  constructor (schemes: readonly Scheme[]) {
    this.#explicit = schemes.filter(({ ambient }) => !ambient)
    this.#ambient = schemes.filter(({ ambient }) => ambient)
    this.#wary = schemes.filter(({ ambient, forged }) => ambient && forged !== undefined)
    this.#only = schemes.length === 1 ? schemes[0] : undefined
  }

  /** What a route may name. */
  get credentials (): readonly string[] {
    return [...this.#explicit, ...this.#ambient].flatMap(({ credentials }) => credentials)
  }

  /** Whether there is anything that a stranger can forge and the handler of a public route may read. */
  get areWary (): boolean {
    return this.#wary.length > 0
  }

  /** What only a trusted proxy may send, from somebody else. */
  forged (request: FastifyRequest): Failed | undefined {
    for (const scheme of this.#wary) {
      const forged = scheme.forged?.(request)
      if (forged !== undefined) return forged
    }
    return undefined
  }

  judge (request: FastifyRequest): Judged {
    const { headers: { authorization }, raw: { rawHeaders } } = request
    // Node shows the first alone, and the second may be what somebody in front has checked: also beside a key or a cookie.
    if (authorization !== undefined && rawHeaders !== undefined && isRepeated(rawHeaders, 'authorization')) return ambiguous
    if (this.#only !== undefined) return this.#only.judge(request)
    const forged = this.forged(request)
    if (forged !== undefined) return forged
    let found: Scheme | undefined
    for (const scheme of this.#explicit) {
      if (!scheme.isPresent(request)) continue
      if (found !== undefined) return ambiguous
      found = scheme
    }
    return found === undefined ? this.#judgeAmbient(request, 0) : found.judge(request)
  }

  /** The challenges of a 401, for a route that takes these credentials; all where it names none. */
  challenge (credentials: readonly string[] = this.credentials): string | undefined {
    const accepted = [...this.#explicit, ...this.#ambient].filter(scheme => scheme.credentials.some(name => credentials.includes(name)))
    const challenges = new Set(accepted.flatMap(({ challenge }) => challenge ?? []))
    return challenges.size === 0 ? undefined : [...challenges].join(', ')
  }

  #judgeAmbient (request: FastifyRequest, from: number): Judged {
    for (let index = from; index < this.#ambient.length; index++) {
      const judged = this.#ambient[index]?.judge(request)
      if (judged === undefined) continue
      return isUnverified(judged) ? { kind: 'unverified', verify: () => this.#verifyOrNext(judged, request, index + 1) } : judged
    }
    return undefined
  }

  #verifyOrNext (unverified: Unverified, request: FastifyRequest, next: number): ReturnType<Unverified['verify']> {
    const orNext = (verification: Verification | undefined) => {
      if (verification !== undefined) return verification
      const judged = this.#judgeAmbient(request, next)
      return judged !== undefined && isUnverified(judged) ? judged.verify() : judged
    }
    const verification = unverified.verify()
    return after(verification, orNext)
  }
}

export function isUnverified (judged: Exclude<Judged, undefined>): judged is Unverified {
  return !(judged instanceof Promise) && judged.kind === 'unverified'
}
