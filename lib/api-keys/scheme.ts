import type { FastifyRequest } from 'fastify'
import { isOfScheme, isRepeated, type Failed, type Judged, type Scheme, type Unavailable, type Verification } from '../credentials/index.ts'
import { addressOf, apiKeyChallenge } from '../http/index.ts'
import { apiKeyId } from './format.ts'
import { judgeKey, type StoredKey } from './record.ts'
import type { KeyStore } from './store.ts'
import type { Usage } from './usage.ts'

const ambiguous: Failed = Object.freeze({ kind: 'failed', code: 'SECURE_API_CREDENTIAL_AMBIGUOUS' })
const malformed: Failed = Object.freeze({ kind: 'failed', code: 'SECURE_API_API_KEY_MALFORMED' })
/** When to ask again, in milliseconds. */
const RETRY_AFTER = 1000

export interface ApiKeySchemeOptions {
  readonly prefix: string
  /** In lower case. */
  readonly header: string
  readonly store: KeyStore
  readonly usage?: Usage | undefined
  readonly now: () => number
}

/**
 * API keys. A good one whose record is at hand is answered at once, from the record itself: what the record says now counts, and there
 * is no second place where a revoked key could live on. Every other key waits for its turn in the failure budget.
 */
export class ApiKeyScheme implements Scheme {
  readonly credentials = ['api-key']
  readonly challenge = apiKeyChallenge
  readonly ambient = false
  readonly #options: ApiKeySchemeOptions

  constructor (options: ApiKeySchemeOptions) {
    this.#options = options
  }

  isPresent ({ headers }: FastifyRequest): boolean {
    return headers[this.#options.header] !== undefined || keyOf(headers.authorization) !== undefined
  }

  judge (request: FastifyRequest): Judged {
    const text = this.#read(request)
    if (text === undefined) return undefined
    if (typeof text !== 'string') return text
    const id = apiKeyId(text, this.#options.prefix)
    const record = id === undefined ? undefined : this.#options.store.peek(id)
    const known = record && this.#judge(request, record, text)
    return known?.kind === 'verified' ? known : { kind: 'unverified', verify: () => this.#verify(request, id, text) }
  }

  async #verify (request: FastifyRequest, id: string | undefined, text: string): Promise<Verification> {
    if (id === undefined) return malformed
    try {
      return this.#judge(request, await this.#options.store.find(id), text)
    } catch (cause) {
      return unavailable(cause)
    }
  }

  #judge (request: FastifyRequest, record: StoredKey | undefined, text: string): Verification {
    const now = this.#options.now()
    const address = addressOf(request)
    const verification = judgeKey(record, text, address, now)
    if (verification.kind === 'verified' && record !== undefined) this.#options.usage?.count(record.id, address, now)
    return verification
  }

  /** The one key that the request brings, in its own header or in that of RFC 9110 §11.6.2. */
  #read ({ raw: { rawHeaders }, headers }: FastifyRequest): string | Failed | undefined {
    const { header } = this.#options
    const own = headers[header]
    const authorization = keyOf(headers.authorization)
    if (own === undefined && authorization === undefined) return undefined
    const twice = own !== undefined && authorization !== undefined
    const isSole = !twice && !(rawHeaders !== undefined && isRepeated(rawHeaders, own === undefined ? 'authorization' : header))
    return isSole ? String(own ?? authorization) : ambiguous
  }
}

/** What stands behind the scheme, if anything, is the key. */
function keyOf (authorization: string | undefined): string | undefined {
  if (authorization === undefined || !isOfScheme(authorization, 'apikey')) return undefined
  return authorization.slice('apikey'.length).trim()
}

function unavailable (cause: unknown): Unavailable {
  return { kind: 'unavailable', code: 'SECURE_API_API_KEYS_UNAVAILABLE', retryAfter: RETRY_AFTER, cause }
}
