import type { FastifyInstance, FastifyPluginAsync, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { check, environmentOf, ownOptions, Problems, type Environment } from '../lib/config/index.ts'
import type { Principal } from '../lib/credentials/index.ts'
import { refusal, type Refusal } from '../lib/http/index.ts'
import { noteRefusal, PathRules, RefusalError, type CompiledStep, type RouteInfo } from '../lib/pipeline/index.ts'
import {
  accessKeys, allTerms, AuthorizationOptionsSchema, checkPatterns, checkPolicies, compileRule, denialOf, forbidden, noteDenial, PolicyBook, readRouteAccess, routeRuleKeys,
  type AuthorizationOptions, type CompiledRule, type Requirement, type RouteAccess, type RouteRule, type Rule
} from '../lib/policy/index.ts'
import { decorating } from './decorators.ts'
import type { Misspelt } from './misspelt.ts'
import type { Named, PolicyName, RoleName, ScopeName } from './names.ts'
import { guardHook, pipelineOf } from './pipeline.ts'

declare module 'fastify' {
  interface FastifyContextConfig extends Misspelt<keyof RouteRule> {
    /** Scopes the caller's token must carry: one, `{ all: [...] }` or `{ any: [...] }`. */
    scope?: Named<ScopeName>
    /** Roles the caller must have; the same shapes as `scope`. */
    role?: Named<RoleName>
    /** Policies of `authorization.policies` that must hold; the same shapes as `scope`. */
    policy?: Named<PolicyName>
    /** A valid credential is enough. */
    authenticated?: true
    /** No authentication; still limited. Beside a rule it stops the boot. */
    public?: true
    /** Beside `public`: a token that is sent fills `request.auth`, a bad one is 401, and without one the caller is anonymous. */
    authentication?: 'optional'
    /** Overrides `authorization.phase` for this route. */
    authorization?: RouteRule['authorization']
  }
  interface FastifyInstance {
    /** The scope guard as a hook, for use by hand and with `@fastify/auth`. */
    requireScope (scope: Named<ScopeName>): Guard
    /** The role guard as a hook. */
    requireRole (role: Named<RoleName>): Guard
    /** The policy guard as a hook. */
    requirePolicy (policy: Named<PolicyName>): Guard
  }
  interface FastifyRequest {
    /**
     * Asks a policy about a loaded resource. Resolves when it permits; otherwise throws the 403 (401 for a stranger).
     * @example await request.authorize('order-owner', order)
     */
    authorize (policy: PolicyName, resource?: unknown): Promise<void>
  }
}

type Guard = ReturnType<typeof guardHook>
type Judgement = Refusal | undefined
/** The 403 for this request, which is explained in the log and in the audit trail. */
type Forbid = (rule: CompiledRule, request: FastifyRequest) => Refusal

export type AuthorizationPluginOptions = AuthorizationOptions & {
  /** In development the answer says what was required. @default NODE_ENV, and production when that is unset */
  environment?: Environment
}

const unauthenticated = refusal('SECURE_API_UNAUTHENTICATED')
const denied: CompiledRule = Object.freeze({ permits: () => false, policies: [], refusal: forbidden() })
const anybody: CompiledRule = Object.freeze({ permits: () => true, policies: [], refusal: forbidden() })

const authorization: FastifyPluginAsync<AuthorizationPluginOptions> = async (app, { environment, ...given }) => {
  const options = ownOptions(AuthorizationOptionsSchema, given)
  const problems = new Problems()
  checkAuthorization(options, problems)
  problems.throwIfAny()

  const pipeline = pipelineOf(app)
  if (options.routes !== undefined) pipeline.layUnder(new PathRules(options.routes, accessKeys, 'authorization.routes', pipeline.router))
  const book = new PolicyBook(options.policies)
  const forbid = explaining(environmentOf(environment) === 'development')
  const access = (route: RouteInfo, problems: Problems) => readRouteAccess(route.config, book, route.label, problems)
  const ruleOf = (route: RouteInfo, problems: Problems) => ruleFor(access(route, problems), book, options.default)
  const hookOf = (route: RouteInfo) => phaseOf(route) ?? options.phase ?? 'preHandler'

  pipeline.add({
    name: 'authorization:guard',
    phase: 'guard',
    keys: routeRuleKeys,
    compile: (route, problems) => guardStep(route.kind === 'unknown' ? undefined : ruleOf(route, problems), hookOf(route), forbid),
    posture: route => ({ access: describe(access(route, new Problems())), accessByDefault: options.default ?? 'deny', ...(route.source !== undefined && { source: route.source }) })
  })
  pipeline.add({
    name: 'authorization:policy',
    phase: 'guard',
    compile: route => policyStep(route.kind === 'unknown' ? undefined : ruleOf(route, new Problems()), forbid)
  })
  decorate(app, book, forbid)
  app.addHook('onReady', async () => warnOfClosedRoutes(app, pipeline.routes, options.default))
}

/** Checks the section's options; used by the suite too, so that all mistakes are told at once. */
export function checkAuthorization (options: AuthorizationOptions, problems: Problems): void {
  const before = problems.list().length
  check(AuthorizationOptionsSchema, options, 'authorization', problems)
  if (problems.list().length > before) return
  checkPolicies(options.policies ?? {}, 'authorization.policies', problems)
  checkPatterns(options.routes ?? {}, 'authorization.routes', problems)
}

/** `undefined` where no guard is needed. A route that states nothing is closed unless the default says otherwise. */
function ruleFor (access: RouteAccess, book: PolicyBook, fallback: AuthorizationOptions['default']): CompiledRule | undefined {
  switch (access.kind) {
    case 'public': return undefined
    case 'authenticated': return anybody
    case 'rule': return compileRule(access.rule, book)
    case 'none': return fallback === 'authenticated' ? anybody : denied
  }
}

/** Who may know what a route asks for is the developer's business in production: there the answer stays as it is. */
function explaining (development: boolean): Forbid {
  return (rule, request) => {
    const denial = denialOf(rule.required, request.auth)
    noteDenial(request, denial)
    request.log.debug(denial, 'secure-api: 403, the caller lacks what is required')
    return development ? refusal('SECURE_API_FORBIDDEN', { headers: rule.refusal.headers, extensions: { ...denial } }) : rule.refusal
  }
}

function guardStep (rule: CompiledRule | undefined, hook: CompiledStep['hook'], forbid: Forbid): CompiledStep | undefined {
  if (rule === undefined) return undefined
  const { permits } = rule
  return {
    hook,
    handler: request => {
      const { auth } = request
      if (isStranger(auth)) return unauthenticated
      return permits(auth) ? undefined : forbid(rule, request)
    }
  }
}

function policyStep (rule: CompiledRule | undefined, forbid: Forbid): CompiledStep | undefined {
  if (rule === undefined || rule.policies.length === 0) return undefined
  return { hook: 'preHandler', handler: request => askPolicies(rule, request, undefined, forbid) }
}

function askPolicies (rule: CompiledRule, request: FastifyRequest, resource: unknown, forbid: Forbid): Judgement | Promise<Judgement> {
  const permitted = allTerms(rule.policies, { principal: request.auth, request, resource }, error => {
    request.log.warn({ err: error }, 'secure-api: a policy failed; the request is refused')
  })
  if (typeof permitted === 'boolean') return permitted ? undefined : forbid(rule, request)
  return permitted.then(yes => yes ? undefined : forbid(rule, request))
}

/** `request.auth` is undefined when no authentication is registered: then everybody is a stranger. */
function isStranger (auth: Principal | undefined): boolean {
  return auth === undefined || auth.kind === 'anonymous'
}

function decorate (app: FastifyInstance, book: PolicyBook, forbid: Forbid): void {
  const guard = (rule: Rule) => {
    checkByHand(rule, book)
    const compiled = compileRule(rule, book)
    return guardHook(request => judge(compiled, request, undefined, forbid))
  }
  const decorators = decorating(app)
  decorators.decorate('requireScope', (scope: Requirement) => guard({ scope }))
  decorators.decorate('requireRole', (role: Requirement) => guard({ role }))
  decorators.decorate('requirePolicy', (policy: Requirement) => guard({ policy }))
  const rules = new Map(book.names.map(policy => [policy, compileRule({ policy }, book)]))
  decorators.decorateRequest('authorize', async function authorize (this: FastifyRequest, policy: string, resource?: unknown) {
    const rule = rules.get(policy)
    if (rule === undefined) throw new TypeError(`secure-api: request.authorize: the policy '${policy}' is not configured`)
    const verdict = await judge(rule, this, resource, forbid)
    if (verdict === undefined) return
    noteRefusal(this, verdict)
    throw new RefusalError(verdict)
  })
}

function judge (rule: CompiledRule, request: FastifyRequest, resource: unknown, forbid: Forbid): Judgement | Promise<Judgement> {
  if (isStranger(request.auth)) return unauthenticated
  if (!rule.permits(request.auth)) return forbid(rule, request)
  return rule.policies.length === 0 ? undefined : askPolicies(rule, request, resource, forbid)
}

/** The same checks as for a route's `config`: an empty or unknown name never guards anything. */
function checkByHand (rule: Rule, book: PolicyBook): void {
  const problems = new Problems()
  readRouteAccess({ ...rule }, book, 'guard', problems)
  problems.throwIfAny()
}

function phaseOf (route: RouteInfo): CompiledStep['hook'] | undefined {
  const { authorization } = route.config as RouteRule
  return authorization?.phase
}

/** A plain object for readers: the rule itself inherits nothing. */
function describe (access: RouteAccess): unknown {
  return access.kind === 'rule' ? JSON.parse(JSON.stringify(access.rule)) : access.kind
}

function warnOfClosedRoutes (app: FastifyInstance, routes: readonly RouteInfo[], fallback: AuthorizationOptions['default']): void {
  if (fallback === 'authenticated') return
  const closed = routes.filter(({ config }) => !accessKeys.some(key => key in config))
  if (closed.length === 0) return
  app.log.warn({ routes: closed.map(({ label }) => label) },
    'secure-api: these routes state no rule and refuse everybody; give them `scope`, `role`, `policy`, `authenticated` or `public` in `config`')
}

export default fp(authorization, { fastify: '5.x', name: 'secure-api-authorization' })
