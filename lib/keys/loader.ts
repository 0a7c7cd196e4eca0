import { discoverKeySetUrl, plainHosts } from './discovery.ts'
import { asFailure, FetchFailure } from './failure.ts'
import type { FetchDocument } from './fetch.ts'
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

export interface LoaderOptions {
  readonly issuer: string
  readonly source: { readonly jwksUri: string } | 'discovery'
  readonly timeout: number
  readonly allowLoopback: boolean
  readonly insecureHosts?: readonly string[]
  readonly fetch: FetchDocument
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
  /** The URL requested last: where an attempt failed. */
  asked: string | undefined

  constructor (options: LoaderOptions) {
    const { fetch } = options
    this.#options = {
      ...options,
      fetch: (url, limits) => {
        this.asked = url
        return fetch(url, limits)
      }
    }
    if (options.source !== 'discovery') this.#url = options.source.jwksUri
  }

  /** One to three requests, one after the other. Rejects with `FetchFailure`. */
  async load (signal: AbortSignal): Promise<unknown> {
    const { fetch, timeout } = this.#options
    const url = await this.#locate(signal)
    if (!isSecureUrl(url, plainHosts(this.#options))) throw new FetchFailure('url')
    return await fetch(url, { timeout, signal })
  }

  want (): void {}

  /** Has the address looked up again next time. */
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
    const { issuer, fetch, timeout, allowLoopback, insecureHosts = [] } = this.#options
    // Half of the time, so that the known address can still be requested within the attempt.
    const limit = known === undefined ? timeout : timeout / 2
    try {
      const url = await discoverKeySetUrl(issuer, { fetch, timeout: limit, allowLoopback, insecureHosts, signal })
      this.#doubted = false
      return url
    } catch (error) {
      if (known === undefined || contradicts(error)) throw error
      return known
    }
  }
}

function contradicts (error: unknown): boolean {
  return ['issuer', 'metadata', 'url'].includes(asFailure(error).reason)
}
