import { DurationSchema, Type, type Static } from '../config/index.ts'

const origins = Type.Array(Type.String(), { minItems: 1 })

const shared = {
  /**
   * Let browsers send cookies and client certificates, and read the response. Bearer tokens in `Authorization` do not need it. Costs: every
   * allowed origin can act on behalf of the signed-in user. @default false
   */
  credentials: Type.Optional(Type.Boolean()),
  /**
   * Methods that other origins may use, in capitals. GET, HEAD and POST are always allowed (Fetch §2.2.1). A preflight succeeds only if
   * the route supports the method. @default ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']
   */
  methods: Type.Optional(Type.Array(Type.String(), { minItems: 1 })),
  /**
   * Request headers that other origins may set. `'*'` allows all but `authorization`, which must be listed beside it.
   * `[]` allows those that need no permission (Fetch §2.2.2).
   * @default ['authorization', 'content-type', 'idempotency-key', 'if-match', 'if-none-match', 'x-request-id']
   */
  requestHeaders: Type.Optional(Type.Array(Type.String())),
  /** Response headers that scripts of other origins may read, besides those the suite sends itself. @default [] */
  responseHeaders: Type.Optional(Type.Array(Type.String())),
  /**
   * How long a browser may cache a preflight: whole seconds up to a day; 0 disables caching. Costs of a long one: a withdrawn permission
   * stays in effect for that time. @default '10 minutes'
   */
  maxAge: Type.Optional(DurationSchema),
  /**
   * Answer 403 to unsafe methods and WebSocket upgrades from a foreign origin, instead of only hiding the response. Same-origin requests
   * and callers without an Origin are not affected. @default false
   */
  enforceOrigin: Type.Optional(Type.Boolean()),
  /** In development, explain a refused preflight in its body. No effect in production. @default false */
  debug: Type.Optional(Type.Boolean()),
  /** Accept the origin `'*'`: any web page may read the responses of this API. @default false */
  dangerouslyAllowAnyOrigin: Type.Optional(Type.Boolean()),
  /**
   * Accept `http://` origins together with credentials, and http://localhost in production. Costs: anyone on the network path, or any
   * program on the user's machine, can use the user's session. @default false
   */
  dangerouslyAllowInsecureOrigins: Type.Optional(Type.Boolean()),
  /**
   * Accept `https://*.` patterns with credentials for a domain of the public suffix list, where strangers can register names, such as co.uk
   * and github.io. @default false
   */
  dangerouslyAllowPublicSuffixes: Type.Optional(Type.Boolean())
}

/** The option `cors`. */
export const CorsOptionsSchema = Type.Object({
  /**
   * The web origins whose scripts may read responses: `https://app.example.com`, exactly as browsers write it. Two
   * patterns: `https://*.example.com` for all subdomains at any depth, and `http://localhost:*` for every port.
   */
  origins,
  ...shared
})

/** The route option `config.cors`: laid over the application's, or `false` for none. It decides the preflight too. */
export const RouteCorsSchema = Type.Union([
  Type.Literal(false),
  Type.Object({
    /** The origins of this route instead of the application's. @default the application's */
    origins: Type.Optional(origins),
    ...shared
  })
])

export interface CorsOptions extends Static<typeof CorsOptionsSchema> {}
export type RouteCors = Static<typeof RouteCorsSchema>
