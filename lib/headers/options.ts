import { DurationSchema, Type, type Static } from '../config/index.ts'

const off = Type.Literal(false)

const HstsSchema = Type.Object({
  /**
   * How long a browser insists on https for this host. Start with a short time while rolling out https: a browser cannot go back to http
   * before it ends. @default '365 days'
   */
  maxAge: Type.Optional(DurationSchema),
  /** Every subdomain too. Costs: a subdomain that is still served over http becomes unreachable. @default true */
  includeSubDomains: Type.Optional(Type.Boolean()),
  /** Allows browsers to preload this host (hstspreload.org). Takes months to undo; needs a year and `includeSubDomains`. @default false */
  preload: Type.Optional(Type.Boolean())
})

const DirectivesSchema = Type.Record(Type.Union([Type.Boolean(), Type.String(), Type.Array(Type.String())]))

const ContentSecurityPolicySchema = Type.Object({
  /**
   * Directives by name, laid over those of the profile one by one; `false` removes one, `true` writes one that takes no value. Keywords
   * keep their quotes: `{ 'img-src': ["'self'", 'https://cdn.example.com'] }`. @default the directives of the profile
   */
  directives: Type.Optional(DirectivesSchema),
  /**
   * Put a fresh nonce into `script-src` and `style-src` of each response. Costs: 16 random bytes a response, and the page cannot be cached
   * by shared caches. @default false
   */
  nonces: Type.Optional(Type.Boolean())
})

const ReportOnlySchema = Type.Object({
  /** Changes to the enforced policy that are reported, not enforced. Needs `report-to` or `report-uri`. */
  directives: DirectivesSchema
})

const literals = <const T extends string>(values: readonly T[]) => Type.Union([off, ...values.map(value => Type.Literal(value))])

/** Options of the application and of routes; a route's are laid over the application's. */
const shared = {
  /**
   * The base for all other options: `'api'` for JSON, where nothing may load, run or be framed; `'html'` for same-origin pages.
   * @default 'api'
   */
  profile: Type.Optional(Type.Union([Type.Literal('api'), Type.Literal('html')])),
  /**
   * Content-Security-Policy, enforced. On JSON it protects against direct navigation and framing.
   * @default "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'" for the API profile
   */
  contentSecurityPolicy: Type.Optional(Type.Union([off, ContentSecurityPolicySchema])),
  /** Content-Security-Policy-Report-Only beside the enforced one: a candidate, written as changes to it. @default false */
  contentSecurityPolicyReportOnly: Type.Optional(Type.Union([off, ReportOnlySchema])),
  /**
   * X-Frame-Options, for browsers without `frame-ancestors`.
   * @default follows `frame-ancestors`: `'deny'` for 'none', `'sameorigin'` for 'self', otherwise absent
   */
  frameOptions: Type.Optional(literals(['deny', 'sameorigin'])),
  /** X-Content-Type-Options: nosniff. Costs of turning it off: browsers guess what a response is, and may run it. @default true */
  contentTypeOptions: Type.Optional(Type.Boolean()),
  /** Referrer-Policy. @default 'no-referrer' */
  referrerPolicy: Type.Optional(literals([
    'no-referrer', 'no-referrer-when-downgrade', 'same-origin', 'origin', 'strict-origin', 'origin-when-cross-origin',
    'strict-origin-when-cross-origin', 'unsafe-url'
  ])),
  /**
   * Permissions-Policy: who may use each browser feature (`[]` for nobody, `'self'`, `'*'` or origins), laid over a default that denies 28
   * features and keeps sync-xhr for the same origin. `false` omits a feature. @default the OWASP Secure Headers list
   */
  permissionsPolicy: Type.Optional(Type.Union([off, Type.Record(Type.Union([off, Type.Array(Type.String())]))])),
  /** Cross-Origin-Opener-Policy. @default 'same-origin' */
  crossOriginOpenerPolicy: Type.Optional(literals(['same-origin', 'same-origin-allow-popups', 'noopener-allow-popups', 'unsafe-none'])),
  /** Cross-Origin-Embedder-Policy. Costs on a page: foreign images and scripts must consent (CORP or CORS). @default 'require-corp' */
  crossOriginEmbedderPolicy: Type.Optional(literals(['require-corp', 'credentialless', 'unsafe-none'])),
  /**
   * Cross-Origin-Resource-Policy. It does not affect CORS requests; `'cross-origin'` is for public files in `<img>`. @default 'same-origin'
   */
  crossOriginResourcePolicy: Type.Optional(literals(['same-origin', 'same-site', 'cross-origin'])),
  /** X-Permitted-Cross-Domain-Policies, for old PDF and Flash readers. @default 'none' */
  permittedCrossDomainPolicies: Type.Optional(literals(['none', 'master-only', 'by-content-type', 'all'])),
  /** X-DNS-Prefetch-Control: whether a browser may resolve the links of a page in advance. @default 'off' */
  dnsPrefetchControl: Type.Optional(literals(['off', 'on'])),
  /**
   * Origin-Agent-Cluster: asks browsers for a separate process. Matters for pages only.
   * @default false for the API profile, true for the HTML profile
   */
  originAgentCluster: Type.Optional(Type.Boolean()),
  /**
   * Cache-Control. For the application, it replaces `no-store` on successful authenticated responses; on a route, it applies to every
   * successful response of that route. Errors stay `no-store`; `false` leaves it to the handlers. A handler's own header wins, but `public`
   * becomes `private` on a route that is not public, because plugins set it too (`sendFile` writes `public`). State it here to allow shared
   * caches. @default 'no-store, max-age=0' on authenticated responses and errors
   */
  cacheControl: Type.Optional(Type.Union([off, Type.String()]))
}

const ReportsSchema = Type.Object({
  /** Where browsers send reports: a path of this server without another route. */
  path: Type.String({ pattern: '^/[\\w./~-]+$', hint: "Write a path such as '/csp-reports'." }),
  /** Requests with reports per address and minute; more are answered 429. @default 60 */
  perMinute: Type.Optional(Type.Integer({ minimum: 1, maximum: 100_000 })),
  /** Largest size of such a request, in bytes; larger ones are answered 413. @default 16_384 */
  maxBytes: Type.Optional(Type.Integer({ minimum: 1024, maximum: 1_048_576 })),
  /** Reports per request that reach the audit trail; the others are only counted, in `status()`. @default 10 */
  maxReports: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 })),
  /**
   * Record the first 40 characters of a blocked script or style. Costs: the trail contains text of injected scripts and of your own pages.
   * @default false
   */
  sample: Type.Optional(Type.Boolean())
})

/** The option `headers`. */
export const HeadersOptionsSchema = Type.Object({
  ...shared,
  /**
   * Strict-Transport-Security. Sent in production, over TLS or behind a trusted proxy that reports https (RFC 6797 §7.2: never over http).
   * @default { maxAge: '365 days', includeSubDomains: true, preload: false }
   */
  hsts: Type.Optional(Type.Union([off, HstsSchema])),
  /**
   * Reporting-Endpoints by name: https URLs, or paths of this server. A policy refers to a name in its `report-to` directive. @default none
   */
  reportingEndpoints: Type.Optional(Type.Union([off, Type.Record(Type.String())])),
  /**
   * Collect reports of Content-Security-Policy violations: adds a public route, refers every policy without its own `report-to` or
   * `report-uri` to it, and records each report in the audit trail. On pages of the HTML profile it is also the `default` endpoint; other
   * reports are only counted. @default false
   */
  reports: Type.Optional(Type.Union([off, ReportsSchema])),
  /** Headers to remove from each response because they reveal the server software. @default ['x-powered-by', 'server'] */
  remove: Type.Optional(Type.Array(Type.String({ pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", hint: 'Write a header name.' }))),
  /**
   * Accept `'unsafe-inline'`, `'unsafe-eval'`, `*` and whole schemes in `script-src`. Costs: the policy no longer stops injected scripts.
   * @default false
   */
  dangerouslyAllowUnsafeScripts: Type.Optional(Type.Boolean())
})

/** The route option `config.headers`. */
export const RouteHeadersSchema = Type.Object({
  ...shared,
  /** Clear-Site-Data, for sign-out routes: `true` for cache, cookies and storage, or a list of what to clear. @default false */
  clearSiteData: Type.Optional(Type.Union([Type.Boolean(), Type.Array(Type.Union([
    Type.Literal('cache'), Type.Literal('cookies'), Type.Literal('storage'), Type.Literal('executionContexts'), Type.Literal('*')
  ]), { minItems: 1 })])),
  /** As the application's, for the scripts of this page only. @default false */
  dangerouslyAllowUnsafeScripts: Type.Optional(Type.Boolean())
})

export interface HeadersOptions extends Static<typeof HeadersOptionsSchema> {}
export type RouteHeaders = Static<typeof RouteHeadersSchema>
/** The application's options with a route's laid over them: see `mergeHeaders`. */
export type EffectiveHeaders = HeadersOptions & Pick<RouteHeaders, 'clearSiteData'> & {
  /** The route states `cacheControl`, so it applies to public responses too. */
  readonly routeCacheControl?: boolean
}
export type ReportsOptions = Static<typeof ReportsSchema>
export type Directives = Static<typeof DirectivesSchema>
