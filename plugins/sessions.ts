import type { FastifyInstance, FastifyRequest } from 'fastify'
import { isCrossSite, type Authenticator, type CookieRules } from '../lib/authentication/index.ts'
import { Problems } from '../lib/config/index.ts'
import type { Principal } from '../lib/credentials/index.ts'
import { refusal, type Refusal } from '../lib/http/index.ts'
import { pluginsOf } from './fastify-internals.ts'
import type { Frame } from './ports.ts'

/** Official plugins that read a cookie in an `onRequest` hook, and the names of their hooks. */
const sessionPlugins = ['@fastify/session', '@fastify/secure-session']
const cookieHooks = ['@fastify/cookie', ...sessionPlugins, 'fastifyCookieHandler', 'handleSession']
/** What `@fastify/secure-session` names the part of it that has the hook. */
const unnamedPart = /^addHooks-auto-\d+$/

/**
 * Stops the boot where what an authenticator reads is filled after it was asked: a signed-in user would be a stranger. Tried with both
 * session plugins: their hooks run first where they are registered first, awaited or not.
 */
export function checkSessionOrder (app: FastifyInstance, authenticators: readonly Authenticator[], pipeline: Frame): void {
  const problems = new Problems()
  const plugins = pluginsOf(app)
  const late = plugins.slice(plugins.findIndex(name => name.startsWith('secure-api'))).filter(name => sessionPlugins.includes(name))
  for (const [index, { name, reads }] of authenticators.entries()) {
    if (reads === undefined || (app.hasRequestDecorator(reads) && late.length === 0)) continue
    problems.add('SECURE_API_AUTHENTICATOR_ORDER', `auth.authenticators[${index}]`,
      `\`${name}\` reads request.${reads}, which ${late[0] ?? 'no plugin before the suite'} fills: it would find nobody signed in`,
      'Register the session plugin (after @fastify/cookie) before the suite, in the same scope or around it.')
  }
  problems.throwIfAny()
  if (authenticators.every(({ reads }) => reads === undefined)) return
  pipeline.offer({ sessionHooks: [...cookieHooks, ...plugins.filter(name => unnamedPart.test(name))] })
}

const crossSite = refusal('SECURE_API_CROSS_SITE')
const nobody = () => false

/** Callers that come by a cookie, which browsers also send for pages of others. */
export class CookieCallers {
  readonly #rules: ReadonlyMap<string | undefined, CookieRules>
  readonly #pipeline: Frame

  constructor (authenticators: readonly Authenticator[], pipeline: Frame) {
    this.#rules = new Map(authenticators.flatMap(({ name, cookie = false }) =>
      cookie === false ? [] : [[name, cookie === true ? {} : cookie]]))
    this.#pipeline = pipeline
  }

  /** Those of these credentials, or of all. */
  among (credentials: readonly string[] | undefined): readonly string[] {
    return [...this.#rules.keys()].filter(name => name !== undefined && credentials?.includes(name) !== false) as string[]
  }

  /** The 403 of a request that a page of another site may have sent in the name of this caller. */
  refuse (request: FastifyRequest, { credential }: Principal): Refusal | undefined {
    const rules = this.#rules.get(credential)
    if (rules === undefined) return undefined
    const { mayUseCredentials = nobody } = this.#pipeline.ports
    return isCrossSite(request, rules, origin => mayUseCredentials(request, origin)) ? crossSite : undefined
  }
}
