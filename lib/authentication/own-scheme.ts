import type { FastifyRequest } from 'fastify'
import { isThenable, withDeadline } from '../async/index.ts'
import { DurationSchema, milliseconds, Type, type Problems, type Static } from '../config/index.ts'
import { isOfScheme, type Failed, type Judged, type Scheme, type Unavailable, type Verification } from '../credentials/index.ts'
import { OwnPrincipals, type CallerFacts } from './own-principals.ts'

/** The caller; `undefined`: the request brings no credential of this kind; `false`: it brings one that is not valid. */
export type CallerAnswer = CallerFacts | undefined | false

/** RFC 9110 §11.1: a token, here begun by a letter. */
const schemePattern = '^[A-Za-z][A-Za-z0-9-]{0,31}$'
const namePattern = '^[a-z][a-z0-9-]{0,31}$'

type Authenticate = (request: FastifyRequest) => CallerAnswer | Promise<CallerAnswer>

export const AuthenticatorSchema = Type.Object({
  /** What `Principal.credential` says and `config.credential` names: lower case letters, digits and hyphens. */
  name: Type.String({ pattern: namePattern, hint: "Write lower case letters, digits and hyphens: 'session'." }),
  /**
   * The scheme of the Authorization header in which the credential stands, such as `'Hawk'`. The authenticator is asked about
   * such requests only, and a 401 asks for it. Absent: it is asked about every request that brings no other credential.
   */
  scheme: Type.Optional(Type.String({ pattern: schemePattern, hint: "Write the first word of the header: 'Hawk'." })),
  /**
   * Whether browsers send the credential by themselves, in a cookie. Then an unsafe method, and a WebSocket, must come from the
   * same origin, or from one of `cors.origins` that may use credentials: others are 403 (`SECURE_API_CROSS_SITE`). @default false
   */
  cookie: Type.Optional(Type.Union([
    Type.Boolean(), Type.Object({
      /**
       * Lets requests pass that say nothing of where they come from: neither `Sec-Fetch-Site` nor `Origin`. Browsers of today send
       * one of them with every unsafe method; clients that are no browsers send none. @default false
       */
      allowWithoutOrigin: Type.Optional(Type.Boolean())
    })
  ])),
  /**
   * The property of the request that `authenticate` reads and another plugin fills, in an `onRequest` hook of its own: `'session'`.
   * That plugin must be registered before the suite: otherwise the boot stops. @default none
   */
  reads: Type.Optional(Type.String()),
  /** Says who calls. An exception, a time-out or an answer of another shape is 503, never access. */
  authenticate: Type.Function<Authenticate>(),
  /** How long it may take. @default '1 second' */
  timeout: Type.Optional(DurationSchema)
})

/** A way of authentication of the application's own. */
export interface Authenticator extends Static<typeof AuthenticatorSchema> {}

/** Credentials of the suite and their issuers, whose names an authenticator cannot take: limits count by issuer and subject. */
const taken = ['jwt', 'opaque', 'api-key', 'certificate', 'client-certificate']
const takenSchemes = ['bearer', 'dpop', 'apikey']

export function validateAuthenticators (list: readonly Authenticator[], path: string, problems: Problems): void {
  const names = list.map(({ name }) => name)
  const schemes = list.map(({ scheme }) => scheme?.toLowerCase())
  for (const [index, { name, scheme = '', cookie = false }] of list.entries()) {
    if (scheme !== '' && cookie !== false) {
      problems.add('SECURE_API_OPTION_CONFLICT', `${path}[${index}].cookie`, 'a credential of the Authorization header is not in a cookie',
        'Leave `scheme` or `cookie` out.')
    }
    if (taken.includes(name) || names.indexOf(name) !== index) {
      problems.add('SECURE_API_OPTION_CONFLICT', `${path}[${index}].name`, `the name \`${name}\` is taken`, 'Choose another name.')
    }
    const lower = scheme.toLowerCase()
    if (takenSchemes.includes(lower) || (scheme !== '' && schemes.indexOf(lower) !== index)) {
      problems.add('SECURE_API_OPTION_CONFLICT', `${path}[${index}].scheme`, `the scheme \`${scheme}\` is taken`, 'Choose another scheme.')
    }
  }
}

const invalid: Failed = Object.freeze({ kind: 'failed', code: 'SECURE_API_CREDENTIAL_INVALID' })
/** When to ask again, in milliseconds. */
const RETRY_AFTER = 1000

/** Asks an authenticator of the application. */
export class OwnScheme implements Scheme {
  readonly credentials: readonly string[]
  readonly challenge: string | undefined
  readonly ambient: boolean
  readonly #authenticator: Authenticator
  readonly #timeout: number
  readonly #prefix: string | undefined
  readonly #now: () => number
  readonly #principals: OwnPrincipals

  constructor (authenticator: Authenticator, now: () => number = Date.now) {
    const { name, scheme, timeout = 1000 } = authenticator
    this.credentials = [name]
    this.challenge = scheme === undefined ? undefined : `${scheme} realm="api"`
    this.ambient = scheme === undefined
    this.#authenticator = authenticator
    this.#timeout = milliseconds(timeout)
    this.#prefix = scheme?.toLowerCase()
    this.#now = now
    this.#principals = new OwnPrincipals(name)
  }

  isPresent ({ headers }: FastifyRequest): boolean {
    return this.#prefix !== undefined && isOfScheme(headers.authorization ?? '', this.#prefix)
  }

  /** What another plugin has read costs nothing to look at: its users are known at once, whatever others of their address failed at. */
  judge (request: FastifyRequest): Judged {
    if (!this.ambient && !this.isPresent(request)) return undefined
    if (this.#authenticator.reads === undefined) return { kind: 'unverified', verify: () => this.#verify(request) }
    const outcome = this.#verify(request)
    const isKnown = !(outcome instanceof Promise) && (outcome === undefined || outcome.kind === 'verified')
    return isKnown ? outcome : { kind: 'unverified', verify: () => outcome }
  }

  /** At once where the authenticator answers at once. Never throws, never rejects. */
  #verify (request: FastifyRequest): Verification | undefined | Promise<Verification | undefined> {
    try {
      const answer = this.#ask(request)
      return answer instanceof Promise ? answer.then(late => this.#read(late)).catch(unavailable) : this.#read(answer)
    } catch (cause) {
      return unavailable(cause)
    }
  }

  #ask (request: FastifyRequest): unknown {
    const { reads } = this.#authenticator
    // Null, as it was decorated: nobody has looked at the cookie yet, so that nobody is known not to be signed in.
    if (reads !== undefined && (Reflect.get(request, reads) ?? undefined) === undefined) {
      throw new Error(`request.${reads} is not filled: register the plugin that fills it before the suite, and in its scope`)
    }
    const answer: unknown = this.#authenticator.authenticate(request)
    if (!isThenable(answer)) return answer
    const late = () => new Error(`the authenticator did not answer within ${this.#timeout} ms`)
    return withDeadline(answer, { ms: this.#timeout, late })
  }

  #read (answer: unknown): Verification | undefined {
    if (answer === undefined) return this.ambient ? undefined : invalid
    if (answer === false) return invalid
    const principal = this.#principals.of(answer)
    return this.#now() < principal.expiresAt ? { kind: 'verified', principal } : invalid
  }
}

function unavailable (cause: unknown): Unavailable {
  return { kind: 'unavailable', code: 'SECURE_API_AUTHENTICATOR_UNAVAILABLE', retryAfter: RETRY_AFTER, cause }
}
