import type { FastifyContextConfig, FastifyRequest, RouteGenericInterface } from 'fastify'
import { Type, type Static } from '../config/index.ts'
import type { Principal } from '../credentials/index.ts'

/** RFC 6749 §3.3 scope-token; roles and policy names use the same characters. */
export const namePattern = /^[\x21\x23-\x5b\x5d-\x7e]+$/
export const nameHint = 'Write one name without spaces or quotes; write several as { all: [...] } or { any: [...] }.'
const Name = Type.String({ pattern: namePattern.source, hint: nameHint })
const Names = Type.Array(Name, { minItems: 1 })

/** One name, all of a list, or any of a list. A bare array is refused: it does not say which. */
export const RequirementSchema = Type.Union([
  Name,
  Type.Object({ all: Names }),
  Type.Object({ any: Names })
], { hint: 'Write one name, { all: [...] } or { any: [...] }; a bare list does not say which.', refuseList: true })
export type Requirement = Static<typeof RequirementSchema>

/** Who may call: `anonymous` is no caller. */
export const callers = ['user', 'service', 'api-key'] as const
export type CallerKind = typeof callers[number]
const Caller = Type.Union(callers.map(kind => Type.Literal(kind)))

/** One, or several of which any will do: a request has one caller and one credential. */
const CallerSchema = Type.Union([Caller, Type.Array(Caller, { minItems: 1 })])
const CredentialSchema = Type.Union([Name, Names])

/** Own properties only, so a polluted `Object.prototype.all` has no effect. */
export function statesAll (requirement: Exclude<Requirement, string>): requirement is Extract<Requirement, { all: unknown }> {
  return Object.hasOwn(requirement, 'all')
}

const rule = {
  /** Scopes that the token must have, e.g. `'api.write'`, `{ all: ['a', 'b'] }`, `{ any: ['a', 'b'] }`. */
  scope: Type.Optional(RequirementSchema),
  /** Roles that the principal must have; the same shapes as `scope`. */
  role: Type.Optional(RequirementSchema),
  /** Named policies of `authorization.policies` that must hold; the same shapes as `scope`. */
  policy: Type.Optional(RequirementSchema),
  /**
   * Kinds of callers that may call, one or a list of `'user'`, `'service'` (an application that calls for itself) and `'api-key'`.
   * @default all
   */
  caller: Type.Optional(CallerSchema),
  /**
   * Credentials that are taken, one or a list: `'jwt'`, or the name of an authenticator of yours.
   * @default all that are configured
   */
  credential: Type.Optional(CredentialSchema)
}

/** A named rule: every given key must hold. */
export const RuleSchema = Type.Object(rule)
export type Rule = Static<typeof RuleSchema>

/** What a policy assumes of the routes that name it: as in `app.get<Route>()`, and the resource that it is asked about. */
export interface PolicyRoute extends RouteGenericInterface { Resource?: unknown }

/**
 * The argument of a policy function. Its type argument says what the policy reads, as in `app.get<Route>()`.
 * @example const owner = async ({ principal, request }: PolicyContext<{ Params: { id: string } }>) =>
 *   await ownerOf(request.params.id) === principal.subject
 */
export interface PolicyContext<Route extends PolicyRoute = PolicyRoute> {
  /** Never anonymous. */
  readonly principal: Principal
  readonly request: FastifyRequest<Route>
  /** The argument of `request.authorize(policy, resource)`; undefined when a route names the policy. */
  readonly resource: Route['Resource'] | undefined
}

/** A method, whose parameter TypeScript lets a function narrow: a policy for `/orders/:id` is one of the policies of an application. */
interface Asked<Route extends PolicyRoute> { permits (context: PolicyContext<Route>): boolean | Promise<boolean> }

/** Permits by returning `true`. Any other value, an exception, or no answer within five seconds refuses. */
export type PolicyFunction<Route extends PolicyRoute = PolicyRoute> = Asked<Route>['permits']

/** By name. An interface, because declaration files write out what is inferred, and a written-out function is no method any more. */
export interface Policies { [name: string]: Rule | PolicyFunction }

/** The part of a route's `config` that says who may call it. */
export const RouteRuleSchema = Type.Object({
  ...rule,
  /** A valid credential is enough. */
  authenticated: Type.Optional(Type.Literal(true)),
  /** No authentication; rate limits still apply. Not together with a rule. */
  public: Type.Optional(Type.Literal(true)),
  /** With `public`: a token, if sent, is verified and fills `request.auth`; a bad one is 401. Without one the caller is anonymous. */
  authentication: Type.Optional(Type.Literal('optional')),
  /** Overrides `authorization.phase` for this route. */
  authorization: Type.Optional(Type.Object({
    /** As `authorization.phase`. */
    phase: Type.Union([Type.Literal('preHandler'), Type.Literal('onRequest')])
  }))
})
export type RouteRule = Static<typeof RouteRuleSchema>

const ofOtherControls = Type.Optional(Type.Unsafe({}))
/** Route options by path: a rule, and the options of other controls, which check them with the route. */
export const PathOptionsSchema = Type.Object({
  ...RouteRuleSchema.properties,
  rateLimit: ofOtherControls,
  headers: ofOtherControls,
  cors: ofOtherControls,
  audit: ofOtherControls
})

export const AuthorizationOptionsSchema = Type.Object({
  /** Named policies for `config.policy`, `app.requirePolicy` and `request.authorize`: rules, or functions of the request. */
  policies: Type.Optional(Type.Unsafe<Policies>(Type.Record(Type.Union([RuleSchema, Type.Function()])))),
  /** What happens on a route without a rule: refuse everyone, or let every authenticated caller in. @default 'deny' */
  default: Type.Optional(Type.Union([Type.Literal('deny'), Type.Literal('authenticated')])),
  /**
   * When rules that need only claims are checked. `'onRequest'` refuses before the body is read; policy functions
   * always run in `preHandler`, because they may look at params and body.
   * @default 'preHandler'
   */
  phase: Type.Optional(Type.Union([Type.Literal('preHandler'), Type.Literal('onRequest')])),
  /**
   * Route options by path, for routes whose `config` you cannot write, such as those of other plugins. A pattern is the declared
   * path of a route, or ends in `/*` for everything below; the most specific pattern wins. A rule or option that the route states
   * itself takes precedence. A pattern that matches no route stops the boot.
   * @example { '/uploads/*': { public: true, rateLimit: 'read' }, '/admin/*': { role: 'admin' } }
   */
  routes: Type.Optional(Type.Record(Type.Unsafe<FastifyContextConfig>(PathOptionsSchema)))
})
export interface AuthorizationOptions extends Static<typeof AuthorizationOptionsSchema> {}
