import { discoverKeySetUrl, plainHosts, type DiscoveryOptions } from './discovery.ts'
import { asFailure, FetchFailure } from './failure.ts'
import type { Algorithm, VerificationKey } from './types.ts'
import { isSecureUrl } from './url.ts'

/** How a ring gets its keys. */
export interface KeyLoader {
  /** True where a load brings only the keys that were named: those in use and those wanted. */
  readonly byKid: boolean
  /** The URL requested last, where it is known: where an attempt failed. */
  readonly asked: string | undefined
  /** Has the next load, or the one under way, bring a key that is not known. */
  want (kid: string, algorithm: Algorithm): void
  /** A JWK set. Rejects with `FetchFailure`. */
  load (signal: AbortSignal, inUse: readonly VerificationKey[]): Promise<unknown>
  /** Says that something went wrong, or that a key is not there. */
  doubt (): void
}

type LoaderOptions = Omit<DiscoveryOptions, 'signal'> & {
  readonly issuer: string
  readonly source: { readonly jwksUri: string } | 'discovery'
}

/**
 * Gets the key set of an issuer, and remembers where it is. A discovered address is used until it is doubted (a fetch
 * failed, or a key that was asked for is not there: the provider may have moved its keys) and then looked up again.
 */
export class KeySetLoader implements KeyLoader {
  readonly byKid = false
  readonly #options: LoaderOptions
  #url: string | undefined
  #doubted = false
  asked: string | undefined

  constructor (options: LoaderOptions) {
    const fetch: LoaderOptions['fetch'] = (url, limits) => {
      this.asked = url
      return options.fetch(url, limits)
    }
    this.#options = { ...options, fetch }
  }

  /** One to three requests, one after the other. Rejects with `FetchFailure`. */
  async load (signal: AbortSignal): Promise<unknown> {
    const { fetch, timeout } = this.#options
    const url = await this.#locate(signal)
    if (!isSecureUrl(url, plainHosts(this.#options))) throw new FetchFailure('url')
    return await fetch(url, { timeout, signal })
  }

  want (): void {}

  doubt (): void {
    this.#doubted = true
  }

  async #locate (signal: AbortSignal): Promise<string> {
    if (this.#options.source !== 'discovery') return this.#options.source.jwksUri
    if (this.#url !== undefined && !this.#doubted) return this.#url
    this.#url = await this.#discover(signal, this.#url)
    return this.#url
  }

  /** While metadata cannot be fetched, the known address stays in use; metadata with another address replaces it. */
  async #discover (signal: AbortSignal, known: string | undefined): Promise<string> {
    // Half of the time, so that the known address can still be requested within the attempt.
    const timeout = known === undefined ? this.#options.timeout : this.#options.timeout / 2
    try {
      const url = await discoverKeySetUrl(this.#options.issuer, { ...this.#options, timeout, signal })
      this.#doubted = false
      return url
    } catch (error) {
      const contradicts = ['issuer', 'metadata', 'url'].includes(asFailure(error).reason)
      if (known === undefined || contradicts) throw error
      return known
    }
  }
}
