import type { FastifyInstance } from 'fastify'
import { mistake } from '../lib/config/index.ts'

/** Plugins that are known to make a decorator of ours. */
const owners: Readonly<Record<string, readonly string[]>> = {
  'app.authenticate': ['fastify-jwt-jwks', 'fastify-auth0-verify'],
  'app.jwt': ['@fastify/jwt'],
  'app.createRateLimit': ['@fastify/rate-limit'],
  'request.user': ['@fastify/jwt', '@fastify/passport'],
  'request.auth': ['@clerk/fastify'],
  'reply.cspNonce': ['@fastify/helmet']
}

/** What to do about those that are no mistake of a name, but do the same job. */
const replacements: Readonly<Record<string, string>> = {
  'app.authenticate': 'Remove it: the guard of this name checks the token too, and a route states `authenticated: true` in its `config`',
  'app.jwt': 'Remove it: `auth.ownTokens` registers @fastify/jwt itself',
  'request.user': 'Remove it: the suite sets the claims of the token there',
  'reply.cspNonce': 'Remove it, or set `headers: false`'
}

/** For decorators with a public name. Where the name is taken, Fastify only says so: this says whose it probably is, and what to do. */
export function decorating (app: FastifyInstance): Pick<FastifyInstance, 'decorate' | 'decorateRequest' | 'decorateReply'> {
  return {
    decorate: checked(app, 'app', app.decorate),
    decorateRequest: checked(app, 'request', app.decorateRequest),
    decorateReply: checked(app, 'reply', app.decorateReply)
  }
}

/** Stops the boot where one of the names is taken, each with its target: for decorators that a plugin makes for us. */
export function refuseTaken (app: FastifyInstance, decorators: readonly `${Target}.${string}`[]): void {
  for (const decorator of decorators) {
    const [target, name = ''] = decorator.split('.') as [Target, string?]
    refuse(app, target, name)
  }
}

type Target = 'app' | 'request' | 'reply'
const hasBy = { app: 'hasDecorator', request: 'hasRequestDecorator', reply: 'hasReplyDecorator' } as const

/** A proxy keeps the signatures of Fastify's method: only the name is looked at. */
function checked <Decorate extends (...parts: never[]) => unknown> (app: FastifyInstance, target: Target, decorate: Decorate): Decorate {
  return new Proxy(decorate, {
    apply (method, _self, parts: [name: string, ...unknown[]]) {
      refuse(app, target, parts[0])
      return Reflect.apply(method, app, parts)
    }
  })
}

function refuse (app: FastifyInstance, target: Target, name: string): void {
  if (!app[hasBy[target]](name)) return
  const decorator = `${target}.${name}`
  const found = (owners[decorator] ?? []).filter(name => app.hasPlugin(name))
  const owner = found.length > 0 ? found.join(' or ') : 'the application, or a plugin that was registered before'
  throw mistake('SECURE_API_DECORATOR_TAKEN', decorator, `the suite adds a decorator of this name, which ${owner} has added already`,
    `${replacements[decorator] ?? 'Rename the other decorator'}; or register it in a child scope that does not use the suite's.`)
}
