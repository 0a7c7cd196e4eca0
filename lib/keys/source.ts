import { FetchFailure } from './failure.ts'
import type { KeyLoader } from './loader.ts'
import type { JwkSource } from './ring-options.ts'
import type { Algorithm, VerificationKey } from './types.ts'

interface Question {
  readonly kid: string
  readonly algorithm: Algorithm
}

/** How many unknown `kid`s one attempt asks for, and how many are remembered until then. */
const MAX_WANTED = 8

/** Shows whether the source answers, while no key is in use. No issuer has such a key. */
const probe: Question = { kid: 'secure-api-probe', algorithm: 'RS256' }

/**
 * Gets keys one by one from a source of the application's. An attempt asks again for every key in use, so that a removed
 * one ends, and for the `kid`s that requests have asked for since.
 */
export class SourceLoader implements KeyLoader {
  readonly byKid = true
  readonly asked = undefined
  readonly #issuer: string
  readonly #source: JwkSource
  readonly #wanted = new Map<string, Question & { times: number }>()

  constructor (issuer: string, source: JwkSource) {
    this.#issuer = issuer
    this.#source = source
  }

  /** Where strangers ask for more than fits, what is asked for most often stays: a new key of the issuer. */
  want (kid: string, algorithm: Algorithm): void {
    const slot = `${algorithm} ${kid}`
    const known = this.#wanted.get(slot)
    if (known === undefined && this.#wanted.size >= MAX_WANTED) this.#dropLeastWanted()
    this.#wanted.set(slot, { kid, algorithm, times: (known?.times ?? 0) + 1 })
  }

  /** The keys that the issuer has now, of those in use and those wanted. Rejects when one question has no answer. */
  async load (signal: AbortSignal, inUse: readonly VerificationKey[]): Promise<{ readonly keys: unknown[] }> {
    const known = inUse.flatMap(questionFor)
    const keys = await this.#ask(known.length + this.#wanted.size === 0 ? [probe] : known)
    // Requests that joined the attempt have added theirs meanwhile.
    for (let left = MAX_WANTED; left > 0 && this.#wanted.size > 0 && !signal.aborted;) {
      const wanted = [...this.#wanted].slice(0, left)
      keys.push(...await this.#ask(wanted.map(([, question]) => question)))
      for (const [slot] of wanted) this.#wanted.delete(slot)
      left -= wanted.length
    }
    return { keys }
  }

  doubt (): void {}

  #dropLeastWanted (): void {
    const least = [...this.#wanted].reduce((one, other) => other[1].times < one[1].times ? other : one)
    this.#wanted.delete(least[0])
  }

  async #ask (questions: readonly Question[]): Promise<unknown[]> {
    const answers = await Promise.all(questions.map(question => this.#askOne(question)))
    return answers.filter(answer => answer !== undefined)
  }

  async #askOne ({ kid, algorithm }: Question): Promise<unknown> {
    try {
      this.#forget(algorithm, kid)
      const jwk = await this.#source.getJwk({ domain: this.#issuer, alg: algorithm, kid }) as { readonly kid?: unknown } | null | undefined
      if (jwk === undefined || jwk === null) return undefined
      // Any other answer is no key, and is reported as such.
      return jwk.kid === kid ? jwk : { kid }
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'JWK_NOT_FOUND') return undefined
      throw asSourceFailure(error)
    }
  }

  /**
   * `get-jwks` 11 answers every failure from its stale cache, JWK_NOT_FOUND too, and renews the entry each time: a key that
   * the issuer removed would never end, nor would an outage be noticed.
   */
  #forget (alg: Algorithm, kid: string): void {
    const { cache, staleCache } = this.#source
    const key = this.#source.generateCacheKey?.(alg, kid, this.#issuer.replace(/\/?$/, '/'))
    if (key === undefined) return
    // In this order: the first puts what it drops into the second.
    cache?.delete(key)
    staleCache?.delete(key)
  }
}

function questionFor ({ kid, algorithms: [algorithm] }: VerificationKey): readonly Question[] {
  return kid === undefined || algorithm === undefined ? [] : [{ kid, algorithm }]
}

/** `fetch` hides the network's error in `cause`. */
function asSourceFailure (error: unknown): FetchFailure {
  if (error instanceof SyntaxError) return new FetchFailure('parse', { cause: error })
  return new FetchFailure('transport', { cause: error instanceof Error && error.cause instanceof Error ? error.cause : error })
}
