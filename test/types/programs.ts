/** A line that must not compile: the line, the code of the diagnostic, and what it must name. */
export type Wrong = readonly [line: string, code: number, names: string]

export interface Program {
  readonly title: string
  /** Comes first; must compile. */
  readonly prelude: string
  /** Each must compile. */
  readonly right: readonly string[]
  readonly wrong: readonly Wrong[]
}

const prelude = `import Fastify, { type FastifyInstance, type FastifyPluginAsync, type FastifyRequest } from 'fastify'
import secureApi, * as suite from 'fastify-secure-api'
import type { PolicyContext, PolicyFunction } from 'fastify-secure-api'
import { createTestClock, createTestIssuer } from 'fastify-secure-api/testing'
import { Type, type Static, type TypeProvider } from './typebox.ts'
declare const app: FastifyInstance
declare const request: FastifyRequest
const handler = async () => ''
const auth = { issuer: 'https://login.example.com', audience: 'api://orders' }
const server = Fastify().withTypeProvider<TypeProvider>()
const orderParams = Type.Object({ id: Type.String() })
type Policies = NonNullable<suite.AuthorizationOptions['policies']>
`

export const open: Program = {
  title: 'an application that registers no names',
  prelude,
  right: [
    'app.register(secureApi)',
    'app.register(secureApi, { auth })',
    "app.register(secureApi, { auth: { issuers: [{ ...auth, preset: 'auth0', keys: { refresh: '10 minutes' } }] } })",
    "app.register(secureApi, { auth, cors: { origins: ['https://app.example.com'] }, rateLimit: false })",
    'server.register(secureApi, { auth })',
    'Fastify({ http2: true }).register(secureApi, { auth }).register(suite.rateLimit, {})',
    'const plugin: FastifyPluginAsync<suite.SecureApiOptions> = secureApi',
    "app.register(suite.rateLimit, { policies: { reports: { limit: 5, window: '1 minute' } } })",
    "app.get('/', { config: { scope: 'anything' } }, handler)",
    "app.get('/', { config: { scope: { all: ['a', 'b'] }, role: { any: ['c'] }, policy: 'd' } }, handler)",
    "app.get('/', { config: { public: true, cors: false, headers: { profile: 'html' }, audit: 'page.view' } }, handler)",
    "app.get('/', { config: { public: true, rateLimit: { limit: 1, window: 1000 } } }, handler)",
    "app.get('/', { config: { scope: 'a', swagger: { hide: true }, publish: 1, roleId: 2, url: 'x' } }, handler)",
    "app.get('/', { config: { rateLimit: ['read', 'reports'] } }, handler)",
    "app.get('/', { config: { public: true, authentication: 'optional' } }, handler)",
    "app.route({ method: ['GET', 'POST'], url: '/', config: { authenticated: true, authorization: { phase: 'onRequest' } }, handler })",
    "const typed: FastifyPluginAsync = async scope => { scope.get('/', { config: { scope: 'a' } }, handler) }",
    "server.post('/', { schema: { body: Type.Object({ name: Type.String() }) }, config: { scope: 'a' } }, " +
      'async ({ body, auth }) => body.name.trim() + auth.subject)',
    "app.addHook('onRoute', route => { route.config = { ...route.config, scope: 'a' } })",
    "app.get('/', { onRequest: app.authenticate, preHandler: [app.requireScope('a'), app.requireRole({ any: ['b'] })] }, handler)",
    'const kinds: Record<typeof request.auth.kind, number> = { user: 1, service: 2, "api-key": 3, anonymous: 4 }',
    "app.get('/', { config: { scope: 'a' } }, async ({ auth }) => auth.subject.toUpperCase())",
    'const subject: string = request.auth.subject',
    'const policies: Policies = { owner: ({ principal, request }: PolicyContext<{ Params: { id: string } }>) => ' +
      'request.params.id === principal.subject, staff: { role: "staff" }, all: ({ request }) => request.params !== 1 }',
    'const policies: Policies = { owner: ({ principal, request }: PolicyContext<{ Params: Static<typeof orderParams> }>) => ' +
      'request.params.id.trim() === principal.subject }',
    'const owner: PolicyFunction<{ Resource: { owner: string } }> = ({ principal, resource }) => resource?.owner === principal.subject; ' +
      'const policies: Policies = { owner }',
    "const holds: boolean = request.auth.scopes.has('a') && request.auth.roles.has('b')",
    "request.authorize('owner', { id: 1 }).then(() => {})",
    'const claims: typeof request.user = { sub: "alice" }',
    "const signed: string = app.jwt.sign({ sub: 'alice' })",
    'const urls: string[] = app.secureApi.routes().map(({ url }) => url)',
    'const sink: suite.AuditSink = ({ event, outcome, principal }) => ' +
      "{ if (event === 'authn_fail' && outcome === 'denied') console.log(principal?.subject) }",
    "app.setErrorHandler(error => { if (error instanceof suite.RefusalError && error.code === 'SECURE_API_FORBIDDEN') throw error })",
    'const refusals: Partial<Record<suite.AnswerCode, string>> = { SECURE_API_RATE_LIMITED: "later" }',
    "const changed: suite.LimitState = app.rateLimits.change('write', { limit: 5 })",
    "const guard: suite.LoginGuard = app.loginGuard({ name: 'login' })",
    'const limit = app.rateLimit({ max: 5 }); const ask = app.createRateLimit()',
    'Fastify(suite.secureServer({ bodyLimit: 1000 }))',
    "createTestIssuer({ preset: 'keycloak' }).then(issuer => app.inject({ url: '/', ...issuer.asUser({ scopes: ['a'] }) }))",
    'createTestIssuer().then(issuer => app.register(secureApi, { auth: issuer.auth }))',
    "createTestIssuer().then(issuer => fetch('/', issuer.asService({ roles: ['a'] })))",
    "const moved: Promise<void> = createTestClock().advance('1 minute')"
  ],
  wrong: [
    ['app.register(secureApi, { auht: auth })', 2769, "'auht' does not exist"],
    ['Fastify({ http2: true }).register(secureApi, { auht: auth })', 2769, "'auht' does not exist"],
    ["app.register(secureApi, { auth: { ...auth, audiense: 'x' } })", 2769, "'audiense' does not exist"],
    ['app.register(secureApi, { auth, rateLimit: { policies: { a: { limt: 1, window: 1 } } } })', 2769, "'limt' does not exist"],
    ["app.register(secureApi, { auth, errors: 'html' })", 2769, '"html"'],
    ["app.register(secureApi, { auth, rateLimit: { policies: { a: { limit: 1, window: 1, algorithm: 'leaky' } } } })", 2769, '"leaky"'],
    ["app.get('/', { config: { scop: 'x' } }, handler)", 2322, 'did you mean scope?'],
    ["app.get('/', { config: { scopes: ['x'] } }, handler)", 2322, 'did you mean scope?'],
    ["app.get('/', { config: { scope: 'x', Role: 'y' } }, handler)", 2322, 'did you mean role?'],
    ["app.get('/', { config: { policies: 'x' } }, handler)", 2322, 'did you mean policy?'],
    ["app.get('/', { config: { pubilc: true } }, handler)", 2322, 'did you mean public?'],
    ["app.get('/', { config: { authentcated: true } }, handler)", 2322, 'did you mean authenticated?'],
    ["app.get('/', { config: { public: true, authenticaton: 'optional' } }, handler)", 2322, 'did you mean authentication?'],
    ["app.get('/', { config: { public: true, authentication: 'required' } }, handler)", 2322, 'authentication'],
    ["app.get('/', { config: { ratelimit: 'read' } }, handler)", 2322, 'did you mean rateLimit?'],
    ["app.route({ method: 'GET', url: '/', config: { scoep: 'x' }, handler })", 2322, 'did you mean scope?'],
    ["const plugin: FastifyPluginAsync = async scope => { scope.get('/', { config: { scopee: 'x' } }, handler) }", 2322,
      'did you mean scope?'],
    ["server.get('/', { schema: { querystring: Type.Object({}) }, config: { rolle: 'x' } }, async () => '')", 2322, 'did you mean role?'],
    ["app.get('/', { config: { scope: 5 } }, handler)", 2322, "'number'"],
    ["app.get('/', { config: { scope: ['a', 'b'] } }, handler)", 2322, "'string[]'"],
    ["app.get('/', { config: { scope: { some: ['a'] } } }, handler)", 2322, 'some'],
    ["app.get('/', { config: { public: false } }, handler)", 2322, "'public'"],
    ["app.get('/', { config: { public: 'yes' } }, handler)", 2322, "'public'"],
    ["app.get('/', { config: { rateLimit: { limit: 1, windo: 1 } } }, handler)", 2322, 'windo'],
    ["app.get('/', { config: { rateLimit: { window: 1 } } }, handler)", 2322, '{ window: number; }'],
    ["app.get('/', { config: { rateLimit: true } }, handler)", 2322, "'true'"],
    ["app.get('/', { config: { cors: { origin: ['https://a.example'] } } }, handler)", 2322, 'did you mean origins?'],
    ["app.get('/', { config: { headers: { referrerPolicies: 'origin' } } }, handler)", 2322, 'did you mean referrerPolicy?'],
    ["app.get('/', { config: { headers: { frameOptions: 'allow' } } }, handler)", 2322, "'never'"],
    ['request.auth.scopes.add("a")', 2339, "'add'"],
    ['request.auth = request.auth', 2540, "'auth'"],
    ['request.auth.kind = "user"', 2540, "'kind'"],
    ["const owner: PolicyFunction<{ Params: { id: string } }> = ({ request }) => request.params.number === '1'", 2339, "'number'"],
    ['const policies: Policies = { owner: ({ request }: PolicyContext<{ Params: { id: string } }>) => request.params.id }', 2322,
      "'string'"],
    ['const policies: Policies = { owner: ({ request }) => request.params.id === "1" }', 18046, 'params'],
    ["const policies: Policies = { owner: ({ resource }: PolicyContext<{ Resource: { owner: string } }>) => resource.owner === '' }", 18048,
      'resource'],
    ['const policies: Policies = { owner: ({ request }: { request: Date }) => request.getTime() > 0 }', 2322, 'Date'],
    ["app.requireScope(['a'])", 2345, "'string[]'"],
    ["const sinkless: suite.AuditSink = ({ outcome }) => { if (outcome === 'refused') console.log() }", 2367, '"refused"'],
    ["const code: suite.AnswerCode = 'SECURE_API_UNHEARD_OF_0'", 2322, 'SECURE_API_UNHEARD_OF_0'],
    ["createTestIssuer().then(issuer => issuer.asUser({ scope: 'a' }))", 2561, "'scope' does not exist"],
    ["createTestIssuer({ preset: 'azure' })", 2322, '"azure"']
  ]
}

export const registered: Program = {
  title: 'an application that registers its names',
  prelude: `${prelude}declare module 'fastify-secure-api' {
  interface Register {
    scope: 'api.read' | 'api.write'
    role: 'admin'
    policy: 'order-owner'
    rateLimit: 'reports'
  }
}
`,
  right: [
    "app.get('/', { config: { scope: 'api.read' } }, handler)",
    "app.get('/', { config: { scope: { any: ['api.read', 'api.write'] }, role: 'admin', policy: { all: ['order-owner'] } } }, handler)",
    "app.get('/', { config: { public: true, rateLimit: ['read', 'reports'] } }, handler)",
    "app.get('/', { config: { public: true, rateLimit: { limit: 1, window: 1 } } }, handler)",
    "app.get('/', { preHandler: [app.requireScope('api.read'), app.requireRole('admin'), app.requirePolicy('order-owner')] }, handler)",
    "request.authorize('order-owner', {}).then(() => {})",
    "createTestIssuer().then(issuer => issuer.asUser({ scopes: ['api.read', 'of.another.api'], roles: ['admin'] }))"
  ],
  wrong: [
    ["app.get('/', { config: { scope: 'api.raed' } }, handler)", 2322, '"api.raed"'],
    ["app.get('/', { config: { scope: { all: ['api.read', 'api.delete'] } } }, handler)", 2322, '"api.delete"'],
    ["app.get('/', { config: { role: 'root' } }, handler)", 2322, '"root"'],
    ["app.get('/', { config: { policy: 'owner' } }, handler)", 2322, '"owner"'],
    ["app.get('/', { config: { rateLimit: 'report' } }, handler)", 2322, '"report"'],
    ["app.requireScope('api.raed')", 2345, '"api.raed"'],
    ["app.requireRole({ any: ['root'] })", 2322, '"root"'],
    ["request.authorize('owner')", 2345, '"owner"']
  ]
}

/** The types of the plugins that the suite stands in for, in the same program. */
export const neighbours: Program = {
  title: 'an application that imports the types of the official plugins too',
  prelude: `${prelude}import type { FastifyCorsOptions } from '@fastify/cors'
import type { FastifyJWT, JWT } from '@fastify/jwt'
`,
  right: [
    "const theirs: FastifyCorsOptions = { origin: 'https://app.example.com' }",
    "app.get('/', { config: { public: true, cors: { origins: ['https://app.example.com'] } } }, handler)",
    'const jwt: JWT = app.jwt',
    'const none: keyof FastifyJWT = null as never'
  ],
  wrong: [
    ["app.get('/', { config: { public: true, cors: { origin: 'https://app.example.com' } } }, handler)", 2322, 'origin']
  ]
}

/** A project of CommonJS: TypeScript compiles the imports to `require()`. */
export const commonjs: Program = {
  title: 'an application of CommonJS',
  prelude: `import Fastify = require('fastify')
import required = require('fastify-secure-api')
import secureApi, { secureServer, type Denylist, type Principal } from 'fastify-secure-api'
import * as suite from 'fastify-secure-api'
import { createTestIssuer } from 'fastify-secure-api/testing'
const app = Fastify()
const auth = { issuer: 'https://login.example.com', audience: 'api://orders' }
declare module 'fastify-secure-api' {
  interface Register { scope: 'api.read' }
}
`,
  right: [
    'app.register(required, { auth })',
    'app.register(required.secureApi, { auth })',
    'app.register(suite.secureApi, { auth })',
    'app.register(secureApi, { auth })',
    'const denylist: Denylist = required.createDenylist()',
    'Fastify(secureServer()); Fastify(required.secureServer()); Fastify(suite.secureServer())',
    'const subjectOf = ({ subject }: Principal): string => subject',
    "app.get('/', { config: { scope: 'api.read' } }, async ({ auth }) => auth.subject.trim())",
    'createTestIssuer().then(issuer => app.register(secureApi, { auth: issuer.auth }))'
  ],
  wrong: [
    ['app.register(required, { auht: auth })', 2769, "'auht' does not exist"],
    ['required.notThere', 2339, "'notThere'"],
    ["app.get('/', { config: { scope: 'api.raed' } }, async () => '')", 2322, '"api.raed"']
  ]
}
