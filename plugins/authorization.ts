import type { FastifyInstance, FastifyPluginAsync, FastifyRequest } from 'fastify'
import { check, defineSection, Problems, type ConfigurationCode, type Environment } from '../lib/config/index.ts'
import { deepFreeze, type Principal } from '../lib/credentials/index.ts'
import { noteFunctionFailed, refusal, type Refusal } from '../lib/http/index.ts'
import { Marks } from '../lib/marks/index.ts'
import { noteRefusal, PathRules, RefusalError, type CompiledStep, type RouteInfo, type RouteOption } from '../lib/pipeline/index.ts'
import {
  accessKeys, allTerms, AuthorizationOptionsSchema, checkCredentials, checkPatterns, checkPolicies, compileRule, denialOf, forbidden,
  noteDenial, RuleBook, readRouteAccess, RouteRuleSchema, type AuthorizationOptions, type CallerKind, type CompiledRule, type Requirement,
  type RouteAccess, type RouteRule, type Rule
} from '../lib/rules/index.ts'
import type { PolicyRules } from '../lib/usage/index.ts'
import { decorating } from './decorators.ts'
import type { Misspelt } from './misspelt.ts'
import type { CredentialName, Named, PolicyName, RoleName, ScopeName } from './names.ts'
import { guardHook, pipelineOf } from './pipeline.ts'
import { contextOf } from './fastify-internals.ts'
import type { Frame } from './ports.ts'
import { suitePlugin } from './suite-plugin.ts'
import { warn } from './warn.ts'

declare module 'fastify' {
  interface FastifyContextConfig extends Misspelt<keyof RouteRule> {
    /** Scopes the caller's token must carry: one, `{ all: [...] }` or `{ any: [...] }`. */
    scope?: Named<ScopeName>
    /** Roles the caller must have; the same shapes as `scope`. */
    role?: Named<RoleName>
    /** Policies of `authorization.policies` that must hold; the same shapes as `scope`. */
    policy?: Named<PolicyName>
    /** Kinds of callers that may call, one or a list. @default all */
    caller?: CallerKind | CallerKind[]
    /** Credentials that are taken, one or a list. @default all that are configured */
    credential?: CredentialName | CredentialName[]
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

/** For a caller without a bearer token, for whom no challenge is meant. */
const unchallenged = refusal('SECURE_API_FORBIDDEN')
/** Where nothing authenticates anybody. */
const unauthenticated = refusal('SECURE_API_UNAUTHENTICATED')
const denied: CompiledRule = Object.freeze({ permits: () => false, policies: [], refusal: forbidden() })
const anybody: CompiledRule = Object.freeze({ permits: () => true, policies: [], refusal: forbidden() })

export const authorizationSection = defineSection<AuthorizationOptions, RuleBook>({
  key: 'authorization',
  schema: AuthorizationOptionsSchema,
  rules ({ policies = {}, routes = {} }, path, problems) {
    checkPolicies(policies, `${path}.policies`, problems)
    checkPatterns(routes, `${path}.routes`, problems)
  },
  compile: ({ policies }) => new RuleBook(policies)
})

const authorization: FastifyPluginAsync<AuthorizationPluginOptions> = async (app, { environment, ...given }) => {
  const context = contextOf(app, environment)
  const { options, compiled: book } = await authorizationSection.open(given, context)
  const pipeline = pipelineOf(app)
  const forbid = explaining(context.environment === 'development')
  checkPolicyCredentials(options.policies, pipeline)
  const strangers = () => pipeline.ports.unauthenticated ?? unauthenticated
  const accesses = new Marks<RouteInfo, ReturnType<typeof describe>>()
  const policyRules = rulesAmong(options.policies)
  const option = accessOption(book, options.default ?? 'deny', pipeline)
  pipeline.add({
    name: 'authorization:guard',
    phase: 'guard',
    option,
    compile: ({ route, own: { access, rule, phase = options.phase ?? 'preHandler' } }) => {
      if (route.kind === 'route') accesses.set(route, describe(access))
      return guardStep(rule, phase, forbid, strangers())
    },
    posture: ({ access }, { source }) => ({
      access: describe(access),
      ...(access.kind === 'rule' && access.rule.policy !== undefined && { policies: policyRules }),
      accessByDefault: options.default ?? 'deny',
      ...(source !== undefined && { source })
    })
  })
  pipeline.offer({ accessOf: route => accesses.of(route), policyRules })
  pipeline.add({ name: 'authorization:policy', phase: 'guard', option, compile: ({ own: { rule } }) => policyStep(rule, forbid) })
  if (options.routes !== undefined) {
    pipeline.offer({
      paths: new PathRules(options.routes, accessKeys, 'authorization.routes', pipeline.router)
    })
  }
  decorate(app, book, forbid, strangers)
  app.addHook('onReady', async () => warnOfClosedRoutes(app, pipeline.routes.map(({ info }) => info), options.default))
}

/** Who may call a route: what it states, and the rule that results; undefined where no guard is needed. */
interface OwnAccess {
  readonly access: RouteAccess
  readonly rule: CompiledRule | undefined
  readonly phase: 'preHandler' | 'onRequest' | undefined
}

/** Policies that are rules; those of routes are checked with the routes. */
function checkPolicyCredentials (policies: AuthorizationOptions['policies'] = {}, { ports }: Frame): void {
  const problems = new Problems()
  for (const [name, policy] of Object.entries(policies)) {
    if (typeof policy !== 'function') checkCredentials(policy, ports.credentials ?? [], `authorization.policies.${name}`, problems)
  }
  problems.throwIfAny()
}

function accessOption (book: RuleBook, fallback: 'deny' | 'authenticated', { ports }: Frame): RouteOption<OwnAccess> {
  return Object.freeze<RouteOption<OwnAccess>>({
    schemas: RouteRuleSchema.properties,
    parse (stated: RouteRule, { kind, label }, problems) {
      const access = readRouteAccess(stated, book, label, problems)
      checkCredentials(stated, ports.credentials ?? [], `${label}: config`, problems)
      const rule = kind === 'unknown' ? undefined : ruleFor(access, book, fallback)
      return { access, rule, phase: stated.authorization?.phase }
    }
  })
}

/** A route that states nothing is closed unless the default says otherwise. */
function ruleFor (access: RouteAccess, book: RuleBook, fallback: 'deny' | 'authenticated'): CompiledRule | undefined {
  switch (access.kind) {
    case 'public': return undefined
    case 'authenticated': return anybody
    case 'rule': return compileRule(access.rule, book)
    case 'none': return fallback === 'authenticated' ? anybody : denied
  }
}

const bearers: readonly unknown[] = ['jwt', 'opaque']

/** Who may know what a route asks for is the developer's business in production: there the answer stays as it is. */
function explaining (development: boolean): Forbid {
  return (rule, request) => {
    const denial = denialOf(rule.required, request.auth)
    noteDenial(request, denial)
    request.log.debug(denial, 'secure-api: 403, the caller lacks a required scope, role or policy')
    const answer = bearers.includes(request.auth.credential) ? rule.refusal : unchallenged
    return development ? refusal('SECURE_API_FORBIDDEN', { headers: answer.headers, extensions: { ...denial } }) : answer
  }
}

function guardStep (rule: CompiledRule | undefined, hook: CompiledStep['hook'], forbid: Forbid,
  stranger: Refusal): CompiledStep | undefined {
  if (rule === undefined) return undefined
  const { permits } = rule
  return {
    hook,
    handler: request => {
      const { auth } = request
      if (isStranger(auth)) return stranger
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
    noteFunctionFailed(request, 'policy', { err: error }, 'a policy failed, so the request is refused')
  })
  if (typeof permitted === 'boolean') return permitted ? undefined : forbid(rule, request)
  return permitted.then(yes => yes ? undefined : forbid(rule, request))
}

/** `request.auth` is undefined when no authentication is registered: then everybody is a stranger. */
function isStranger (auth: Principal | undefined): boolean {
  return auth === undefined || auth.kind === 'anonymous'
}

function decorate (app: FastifyInstance, book: RuleBook, forbid: Forbid, stranger: () => Refusal): void {
  const guard = (rule: Rule) => {
    checkByHand(rule, book)
    const compiled = compileRule(rule, book)
    return guardHook(request => judge(compiled, request, undefined, forbid, stranger))
  }
  const decorators = decorating(app)
  decorators.decorate('requireScope', (scope: Requirement) => guard({ scope }))
  decorators.decorate('requireRole', (role: Requirement) => guard({ role }))
  decorators.decorate('requirePolicy', (policy: Requirement) => guard({ policy }))
  const rules = new Map(book.names.map(policy => [policy, compileRule({ policy }, book)]))
  decorators.decorateRequest('authorize', async function authorize (this: FastifyRequest, policy: string, resource?: unknown) {
    const rule = rules.get(policy)
    if (rule === undefined) throw new TypeError(`secure-api: request.authorize: the policy '${policy}' is not configured`)
    const verdict = await judge(rule, this, resource, forbid, stranger)
    if (verdict === undefined) return
    noteRefusal(this, verdict)
    throw new RefusalError(verdict)
  })
}

function judge (rule: CompiledRule, request: FastifyRequest, resource: unknown, forbid: Forbid, stranger: () => Refusal):
Judgement | Promise<Judgement> {
  if (isStranger(request.auth)) return stranger()
  if (!rule.permits(request.auth)) return forbid(rule, request)
  return rule.policies.length === 0 ? undefined : askPolicies(rule, request, resource, forbid)
}

/** The same checks as for a route's `config`: an empty or unknown name never guards anything. */
function checkByHand (rule: Rule, book: RuleBook): void {
  const problems = new Problems()
  if (problems.clean(found => check(RouteRuleSchema, rule, 'guard: config', found))) readRouteAccess(rule, book, 'guard', problems)
  problems.throwIfAny()
}

/** A plain object for readers: the rule itself inherits nothing. */
/** Policies that are rules, by name: what a function asks for is its own. */
function rulesAmong (policies: AuthorizationOptions['policies'] = {}): PolicyRules {
  const rules = Object.entries(policies).filter(([, policy]) => typeof policy !== 'function')
  return deepFreeze(JSON.parse(JSON.stringify(Object.fromEntries(rules))) as PolicyRules)
}

function describe (access: RouteAccess): Rule | Exclude<RouteAccess['kind'], 'rule'> {
  return access.kind === 'rule' ? deepFreeze(JSON.parse(JSON.stringify(access.rule)) as Rule) : access.kind
}

function warnOfClosedRoutes (app: FastifyInstance, routes: readonly RouteInfo[], fallback: AuthorizationOptions['default']): void {
  if (fallback === 'authenticated') return
  const closed = routes.filter(({ config }) => !accessKeys.some(key => key in config))
    .filter(({ methods, url }, _, all) =>
      methods.join() !== 'HEAD' || !all.some(other => other.url === url && other.methods.includes('GET')))
  if (closed.length === 0) return
  warn(app, { routes: closed.map(({ label }) => label), code: 'SECURE_API_ROUTE_NO_RULE' satisfies ConfigurationCode },
    'secure-api: these routes state no rule and refuse everybody; add `scope`, `role`, `policy`, `authenticated` or `public`')
}

export default suitePlugin('secure-api-authorization', authorization)
