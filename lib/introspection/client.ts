import { channel } from 'node:diagnostics_channel'
import { withDeadline } from '../async/index.ts'
import { asFailure, discoverUrl, FetchFailure, parseJson, type Exchange, type FetchDocument, type Reply } from '../keys/index.ts'
import { Turns } from '../secrets/index.ts'
import { Breaker } from './breaker.ts'
import { proofOf, type ClientProof, type ProveClient } from './client-authentication.ts'
import { IntrospectionFailure, type IntrospectionFacts, type IntrospectionReason } from './failure.ts'
import { methodOf, timesOf, type IntrospectionClientOptions, type IntrospectionOptions } from './options.ts'

/** In bytes. */
const MAX_ANSWER = 64 * 1024
/** Look-ups at one time. A flood of invented tokens must not become one at the issuer. */
const MAX_RUNNING = 64

export interface IntrospectionClientParts {
  readonly issuer: string
  readonly options: IntrospectionOptions
  /** Shows the client certificate, where there is one. */
  readonly exchange: Exchange
  /** For metadata. */
  readonly fetch: FetchDocument
  /** Lets http addresses of this machine be asked; only in development. */
  readonly allowLoopback: boolean
  readonly insecureHosts?: readonly string[] | undefined
  /** Milliseconds since the epoch. @default Date.now */
  readonly now?: (() => number) | undefined
  /** Monotonic milliseconds. @default performance.now */
  readonly elapsed?: (() => number) | undefined
}

/** What an endpoint says: a JSON object, or with `signed` a JWT that is not verified yet. */
export type IntrospectionReply = Readonly<Record<string, unknown>> | string

/** A message on the diagnostics channel `secure-api:introspection`, for each look-up. */
export interface IntrospectionMessage {
  readonly issuer: string
  /** `open` and `busy`: the endpoint was not asked. */
  readonly result: 'ok' | IntrospectionReason
  readonly durationMs: number
  /** Whether the circuit breaker is open after it. */
  readonly open: boolean
}

const messages = channel('secure-api:introspection')

/** Looks tokens up at the introspection endpoint of one issuer (RFC 7662), within a deadline and behind a circuit breaker. */
export class IntrospectionClient {
  readonly #parts: IntrospectionClientParts
  readonly #provers: Turns<ProveClient>
  readonly #timeout: number
  readonly #breaker: Breaker
  #endpoint: Promise<string> | undefined
  #running = 0
  /** For messages. */
  #asked: string

  constructor (parts: IntrospectionClientParts) {
    const { options, issuer, now = Date.now, elapsed } = parts
    this.#parts = parts
    this.#provers = new Turns([proofOf(options, { issuer, now })])
    this.#timeout = timesOf(options).timeout
    this.#breaker = new Breaker(elapsed)
    this.#asked = options.endpoint ?? issuer
  }

  /** The credentials that are good from now on, the one to use first before the others: those of a new secret, and of the old one. */
  identify (clients: readonly IntrospectionClientOptions[]): void {
    const { options: { method }, issuer, now = Date.now } = this.#parts
    this.#provers.replace(clients.map(client => proofOf({ client, ...(method !== undefined && { method }) }, { issuer, now })))
  }

  /** The audience of signed answers. */
  get clientId (): string {
    return this.#parts.options.client.id
  }

  /** Rejects with `IntrospectionFailure`. */
  async ask (token: string): Promise<IntrospectionReply> {
    return messages.hasSubscribers ? await this.#measured(token) : await this.#ask(token)
  }

  async #measured (token: string): Promise<IntrospectionReply> {
    const { issuer, elapsed = () => performance.now() } = this.#parts
    const started = elapsed()
    let result: IntrospectionMessage['result'] = 'ok'
    try {
      return await this.#ask(token)
    } catch (error) {
      if (error instanceof IntrospectionFailure) result = error.reason
      throw error
    } finally {
      const durationMs = elapsed() - started
      messages.publish({ issuer, result, durationMs, open: this.#breaker.open } satisfies IntrospectionMessage)
    }
  }

  async #ask (token: string): Promise<IntrospectionReply> {
    if (this.#running >= MAX_RUNNING) throw this.failure('busy')
    if (!this.#breaker.admits()) throw this.failure('open', { retryAfter: this.#breaker.retryAfter })
    this.#running++
    try {
      const controller = new AbortController()
      const late = () => new FetchFailure('timeout')
      const reply = await withDeadline(this.#exchange(token, controller.signal), { ms: this.#timeout, late, controller })
      this.#breaker.succeeded()
      return reply
    } catch (error) {
      throw error instanceof IntrospectionFailure ? error : this.#failed(asFailure(error))
    } finally {
      this.#running--
    }
  }

  /** A failure at the address that was asked last. */
  failure (reason: IntrospectionReason, facts?: IntrospectionFacts): IntrospectionFailure {
    return new IntrospectionFailure(reason, this.#asked, facts)
  }

  async #exchange (token: string, signal: AbortSignal): Promise<IntrospectionReply> {
    const { options: { signed = false } } = this.#parts
    const url = await this.#locate(signal)
    const { type, body } = await this.#provers.run(prove => this.#send(url, token, prove(), signal), isOfClient)
    if (!signed) return this.#object(parseJson(body))
    if (type !== SIGNED) throw this.failure('unsigned')
    return body.toString('latin1').trim()
  }

  #send (url: string, token: string, { headers, form }: ClientProof, signal: AbortSignal): Promise<Reply> {
    const { exchange, options: { signed = false } } = this.#parts
    return exchange(url, {
      timeout: this.#timeout,
      maxBytes: MAX_ANSWER,
      signal,
      headers: { accept: signed ? SIGNED : 'application/json', ...headers },
      form: new URLSearchParams({ token, token_type_hint: 'access_token', ...form }).toString()
    })
  }

  #object (answer: unknown): IntrospectionReply {
    if (typeof answer !== 'object' || answer === null || Array.isArray(answer)) throw this.failure('answer')
    return { ...answer }
  }

  async #locate (signal: AbortSignal): Promise<string> {
    const { issuer, options: { endpoint } } = this.#parts
    if (endpoint !== undefined) return endpoint
    this.#endpoint ??= this.#discover(signal).catch((error: unknown) => {
      // Whatever it was, even an answer that for a look-up might be the token's fault: a failure that stayed would be the last word.
      this.#endpoint = undefined
      throw error
    })
    this.#asked = issuer
    this.#asked = await this.#endpoint
    return this.#asked
  }

  /** RFC 8705 §5: where certificates are asked for may be another place. */
  #discover (signal: AbortSignal): Promise<string> {
    const { issuer, options } = this.#parts
    const overTls = methodOf(options) === 'tls_client_auth'
    const pick = ({ introspection_endpoint: url, mtls_endpoint_aliases: aliases }: Record<string, unknown>) =>
      overTls ? Object(aliases).introspection_endpoint ?? url : url
    return discoverUrl(issuer, pick, { ...this.#parts, timeout: this.#timeout, signal })
  }

  #failed ({ reason, status, found }: FetchFailure): IntrospectionFailure {
    if (!mayBeTheToken(reason, status)) {
      this.#breaker.failed()
      // A discovered address is looked up again: the issuer may have moved.
      this.#endpoint = undefined
    }
    return this.failure(reason, { status, found, retryAfter: Math.max(1000, this.#breaker.retryAfter) })
  }
}

/** RFC 6749 §5.2: `invalid_client` comes as 401, or as 400. */
function isOfClient (error: unknown): boolean {
  return error instanceof FetchFailure && error.reason === 'status' && (error.status === 401 || error.status === 400)
}

const SIGNED = 'application/token-introspection+jwt'

/**
 * Whether the token may be the cause, as with a firewall in front of the issuer that dislikes its characters. Such failures
 * do not open the breaker: whoever sends five such tokens would close the API for everyone else.
 */
function mayBeTheToken (reason: FetchFailure['reason'], status = 0): boolean {
  if (reason === 'status') return status < 500 && ![401, 404, 429].includes(status)
  return reason === 'parse' || reason === 'oversize'
}
