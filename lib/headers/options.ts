import { Type, type Static } from '@sinclair/typebox'
import { DurationSchema } from '../config/index.ts'

const off = Type.Literal(false)

const HstsSchema = Type.Object({
  /**
   * How long a browser insists on https for this host. Shorter while https is being rolled out; a browser that has
   * seen a long one cannot go back to http before it ends.
   * @default '365 days'
   */
  maxAge: Type.Optional(DurationSchema),
  /**
   * Every subdomain too. Costs: a subdomain that is still served over http becomes unreachable.
   * @default true
   */
  includeSubDomains: Type.Optional(Type.Boolean()),
  /**
   * Consent to be built into browsers (hstspreload.org). Takes months to undo; needs a year and `includeSubDomains`.
   * @default false
   */
  preload: Type.Optional(Type.Boolean())
}, { additionalProperties: false })

const DirectivesSchema = Type.Record(Type.String(), Type.Union([Type.Boolean(), Type.String(), Type.Array(Type.String())]))

const ContentSecurityPolicySchema = Type.Object({
  /**
   * Directives by name, laid over those of the profile one by one; `false` removes one, `true` writes one that takes
   * no value. Keywords keep their quotes: `{ 'img-src': ["'self'", 'https://cdn.example.com'] }`.
   * @default the directives of the profile
   */
  directives: Type.Optional(DirectivesSchema),
  /**
   * Put a fresh nonce into `script-src` and `style-src` of each response. Costs: 16 random bytes a response, and the
   * page cannot be cached by shared caches.
   * @default false
   */
  nonces: Type.Optional(Type.Boolean())
}, { additionalProperties: false })

const ReportOnlySchema = Type.Object({
  /** Changes to the enforced policy that are only reported, never enforced. Needs `report-to` or `report-uri`. */
  directives: DirectivesSchema
}, { additionalProperties: false })

const literals = <const T extends readonly string[]>(values: T) => Type.Union([off, ...values.map(value => Type.Literal(value as T[number]))])

const frameOptions = literals(['deny', 'sameorigin'])
const openerPolicy = literals(['same-origin', 'same-origin-allow-popups', 'noopener-allow-popups', 'unsafe-none'])
const embedderPolicy = literals(['require-corp', 'credentialless', 'unsafe-none'])
const resourcePolicy = literals(['same-origin', 'same-site', 'cross-origin'])
const permittedPolicies = literals(['none', 'master-only', 'by-content-type', 'all'])
const referrerPolicies = literals(['no-referrer', 'no-referrer-when-downgrade', 'same-origin', 'origin', 'strict-origin', 'origin-when-cross-origin', 'strict-origin-when-cross-origin', 'unsafe-url'])

/** What a route may state as well as the whole application; a route's statements are laid over the application's. */
const shared = {
  /**
   * The set that everything else is laid over: `'api'` for JSON, where nothing may load, run or frame; `'html'` for
   * pages of the same origin.
   * @default 'api'
   */
  profile: Type.Optional(Type.Union([Type.Literal('api'), Type.Literal('html')])),
  /**
   * Content-Security-Policy, enforced. On JSON it protects against direct navigation and framing.
   * @default "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'" for the API profile
   */
  contentSecurityPolicy: Type.Optional(Type.Union([off, ContentSecurityPolicySchema])),
  /**
   * Content-Security-Policy-Report-Only beside the enforced one: a candidate, written as changes to it.
   * @default false
   */
  contentSecurityPolicyReportOnly: Type.Optional(Type.Union([off, ReportOnlySchema])),
  /**
   * X-Frame-Options, for browsers without `frame-ancestors`.
   * @default follows `frame-ancestors`: `'deny'` for 'none', `'sameorigin'` for 'self', otherwise absent
   */
  frameOptions: Type.Optional(frameOptions),
  /**
   * X-Content-Type-Options: nosniff. Costs of turning it off: browsers guess what a response is, and may run it.
   * @default true
   */
  contentTypeOptions: Type.Optional(Type.Boolean()),
  /**
   * Referrer-Policy.
   * @default 'no-referrer'
   */
  referrerPolicy: Type.Optional(referrerPolicies),
  /**
   * Permissions-Policy: for each browser feature who may use it, `[]` for nobody, `'self'`, `'*'` or origins; laid
   * over a default that denies 28 features and keeps sync-xhr for the same origin. `false` leaves a feature out.
   * @default the OWASP Secure Headers list
   */
  permissionsPolicy: Type.Optional(Type.Union([off, Type.Record(Type.String(), Type.Union([off, Type.Array(Type.String())]))])),
  /**
   * Cross-Origin-Opener-Policy.
   * @default 'same-origin'
   */
  crossOriginOpenerPolicy: Type.Optional(openerPolicy),
  /**
   * Cross-Origin-Embedder-Policy. Costs on a page: foreign images and scripts must consent (CORP or CORS).
   * @default 'require-corp'
   */
  crossOriginEmbedderPolicy: Type.Optional(embedderPolicy),
  /**
   * Cross-Origin-Resource-Policy. It does not hinder CORS requests; `'cross-origin'` is for public files in `<img>`.
   * @default 'same-origin'
   */
  crossOriginResourcePolicy: Type.Optional(resourcePolicy),
  /**
   * X-Permitted-Cross-Domain-Policies, for old PDF and Flash readers.
   * @default 'none'
   */
  permittedCrossDomainPolicies: Type.Optional(permittedPolicies),
  /**
   * X-DNS-Prefetch-Control: whether a browser may resolve the links of a page in advance.
   * @default 'off'
   */
  dnsPrefetchControl: Type.Optional(literals(['off', 'on'])),
  /**
   * Origin-Agent-Cluster: ask browsers for a process of its own. Has a meaning for pages only.
   * @default false for the API profile, true for the HTML profile
   */
  originAgentCluster: Type.Optional(Type.Boolean()),
  /**
   * Cache-Control. Stated for the application it replaces `no-store` on successful authenticated answers; stated on a
   * route it goes on every successful answer of that route. Errors stay `no-store`; `false` leaves all to the handlers.
   * A handler that sets the header itself wins, but it does not open shared caches on a route that is not public: plugins set it
   * too (`sendFile` writes `public`), and nobody can tell who did. State it here to mean it; else `public` becomes `private`.
   * @default 'no-store, max-age=0' on authenticated answers and errors
   */
  cacheControl: Type.Optional(Type.Union([off, Type.String()]))
}

const ReportsSchema = Type.Object({
  /** Where browsers send reports: a path of this server that no other route has. */
  path: Type.String({ pattern: '^/[\\w./~-]+$', hint: "Give a path such as '/csp-reports'." }),
  /**
   * How many requests with reports one address may make in a minute; the rest is answered 429.
   * @default 60
   */
  perMinute: Type.Optional(Type.Integer({ minimum: 1, maximum: 100_000 })),
  /**
   * How large such a request may be, in bytes; a larger one is answered 413.
   * @default 16_384
   */
  maxBytes: Type.Optional(Type.Integer({ minimum: 1024, maximum: 1_048_576 })),
  /**
   * How many reports of one request reach the audit trail.
   * @default 20
   */
  maxReports: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 })),
  /**
   * Record the first 40 characters of the script or style that was blocked. Costs: whatever an injected script, or a
   * page of your own, has in them, stands in the trail.
   * @default false
   */
  sample: Type.Optional(Type.Boolean())
}, { additionalProperties: false })

/** The option `headers`. */
export const HeadersOptionsSchema = Type.Object({
  ...shared,
  /**
   * Strict-Transport-Security. Sent in production only, and only over TLS or behind a trusted proxy that says https
   * (RFC 6797 §7.2: never over http).
   * @default { maxAge: '365 days', includeSubDomains: true, preload: false }
   */
  hsts: Type.Optional(Type.Union([off, HstsSchema])),
  /**
   * Reporting-Endpoints: where reports go, by name. https URLs, or paths of this server. A policy refers to the name
   * in its `report-to` directive.
   * @default none
   */
  reportingEndpoints: Type.Optional(Type.Union([off, Type.Record(Type.String(), Type.String())])),
  /**
   * Collect reports of violations of the Content-Security-Policy: adds a public route, names it in every policy that
   * does not name another place (`report-to`, `report-uri`), and records each report in the audit trail. Pages of the
   * HTML profile name it as `default` too, so that browsers send what else they report; of that only the number is kept.
   * @default false
   */
  reports: Type.Optional(Type.Union([off, ReportsSchema])),
  /**
   * Headers of others that are taken off each response, for what they tell about the server.
   * @default ['x-powered-by', 'server']
   */
  remove: Type.Optional(Type.Array(Type.String({ pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", hint: 'Give a header name.' }))),
  /**
   * Accept `'unsafe-inline'`, `'unsafe-eval'`, `*` and whole schemes in `script-src`. Costs: the policy no longer stops
   * injected scripts.
   * @default false
   */
  dangerouslyAllowUnsafeScripts: Type.Optional(Type.Boolean())
}, { additionalProperties: false })

/** The route option `config.headers`. */
export const RouteHeadersSchema = Type.Object({
  ...shared,
  /**
   * Clear-Site-Data, for sign-out routes: `true` for cache, cookies and storage, or a list of what to clear.
   * @default false
   */
  clearSiteData: Type.Optional(Type.Union([Type.Boolean(), Type.Array(Type.Union([
    Type.Literal('cache'), Type.Literal('cookies'), Type.Literal('storage'), Type.Literal('executionContexts'), Type.Literal('*')
  ]), { minItems: 1 })])),
  /**
   * As the application's, for the scripts of this page only.
   * @default false
   */
  dangerouslyAllowUnsafeScripts: Type.Optional(Type.Boolean())
}, { additionalProperties: false })

export type HeadersOptions = Static<typeof HeadersOptionsSchema>
export type RouteHeaders = Static<typeof RouteHeadersSchema>
/** The application's options with a route's laid over them: see `mergeHeaders`. */
export type EffectiveHeaders = HeadersOptions & Pick<RouteHeaders, 'clearSiteData'> & {
  /** `cacheControl` was stated by the route, which then says it of public answers too. */
  readonly routeCacheControl?: boolean
}
export type ReportsOptions = Static<typeof ReportsSchema>
export type Directives = Static<typeof DirectivesSchema>
