import type { FastifyRequest } from 'fastify'
import type { CookieRules } from './cross-site.ts'
import type { CallerFacts } from './own-principals.ts'
import type { Authenticator } from './own-scheme.ts'

/** As the session plugin of the application declares it. */
type SessionOf<Request> = Request extends { session: infer Session } ? Session : Readonly<Record<string, unknown>>

export interface SessionUserOptions extends CookieRules {
  /** What `Principal.credential` says and `config.credential` names. @default 'session' */
  readonly name?: string
  /** The property of the request that holds the session: `sessionName` of `@fastify/secure-session`. @default 'session' */
  readonly property?: string
  /**
   * Says who is signed in; `undefined`: nobody. Without it that is `user` of the session: an object with the user's lasting name as
   * `subject`, `sub` or `id` (a text, or a whole number), and with `scopes`, `roles` and `tenant` where there are any. All of the object
   * becomes the claims. A user of another form is 503, and the log says what is wrong.
   */
  user? (session: SessionOf<FastifyRequest>): CallerFacts | undefined
}

/**
 * Users of a session of `@fastify/session` or `@fastify/secure-session`, for `auth.authenticators`. Register that plugin before the
 * suite, which stops the boot otherwise. With an unsafe method, and to open a WebSocket, they must come from the same origin, or
 * from one of `cors.origins` that may use credentials; others are 403.
 *
 * @example
 * await app.register(cookie)
 * await app.register(session, { secret })
 * await app.register(secureApi, { auth: { authenticators: [sessionUser()] } })
 */
export function sessionUser (options: SessionUserOptions = {}): Authenticator {
  const { name = 'session', property = 'session', user = storedUser, allowWithoutOrigin = false } = options
  const read = user as (session: unknown) => CallerFacts | undefined
  return Object.freeze({
    name,
    reads: property,
    cookie: { allowWithoutOrigin },
    authenticate: (request: FastifyRequest) => read(Reflect.get(request, property))
  })
}

/** A session of `@fastify/secure-session` is asked by `get()`; that of `@fastify/session` has properties too. */
function storedUser (session: unknown): CallerFacts | undefined {
  const { get, user } = session as { get?: (key: string) => unknown, user?: unknown }
  const stored = typeof get === 'function' ? get.call(session, 'user') : user
  if (stored === undefined || stored === null) return undefined
  if (typeof stored !== 'object') throw new TypeError('`user` of the session is no object: give sessionUser() the option `user`')
  const { scopes, roles, tenant } = stored as Partial<CallerFacts>
  return {
    subject: subjectOf(stored),
    claims: stored as Readonly<Record<string, unknown>>,
    ...(scopes !== undefined && { scopes }),
    ...(roles !== undefined && { roles }),
    ...(tenant !== undefined && { tenant })
  }
}

/** Two names that differ leave open who it is. */
function subjectOf (user: object): string {
  const names = ['subject', 'sub', 'id'].map((key): unknown => Reflect.get(user, key)).filter(name => name !== undefined)
  const texts = new Set(names.map(name => Number.isSafeInteger(name) ? String(name) : name))
  const [subject] = texts
  if (texts.size === 1 && typeof subject === 'string' && subject !== '') return subject
  throw new TypeError('`user` of the session must have one name, a text or a whole number, as `subject`, `sub` or `id`')
}
