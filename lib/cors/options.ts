import { Type, type Static } from '@sinclair/typebox'
import { DurationSchema } from '../config/index.ts'

const origins = Type.Array(Type.String(), { minItems: 1 })

const shared = {
  /**
   * Let browsers send cookies and client certificates, and read the answer. Bearer tokens in `Authorization` do not
   * need it. Costs: every allowed origin can act in the name of whoever is signed in.
   * @default false
   */
  credentials: Type.Optional(Type.Boolean()),
  /**
   * Methods that other origins may use, in capitals. GET, HEAD and POST always can (Fetch §2.2.1), and a preflight
   * succeeds only if the route has the method as well.
   * @default ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']
   */
  methods: Type.Optional(Type.Array(Type.String(), { minItems: 1 })),
  /**
   * Request headers that other origins may set. `'*'` allows all but `authorization`, which must be listed beside it.
   * `[]` allows those that need no permission (Fetch §2.2.2).
   * @default ['authorization', 'content-type', 'idempotency-key', 'if-match', 'if-none-match', 'x-request-id']
   */
  requestHeaders: Type.Optional(Type.Array(Type.String())),
  /**
   * Response headers that scripts of other origins may read, besides those the suite sends itself.
   * @default []
   */
  responseHeaders: Type.Optional(Type.Array(Type.String())),
  /**
   * How long a browser may remember a preflight: whole seconds up to a day; 0 for not at all. Costs of a long one:
   * a withdrawn permission lives on for that time.
   * @default '10 minutes'
   */
  maxAge: Type.Optional(DurationSchema),
  /**
   * Answer 403 to unsafe methods and WebSocket upgrades from a foreign origin, not only hide the answer from it.
   * Same-origin requests and callers that send no Origin are not concerned.
   * @default false
   */
  enforceOrigin: Type.Optional(Type.Boolean()),
  /**
   * In development, say in the body of a refused preflight what was missing. Has no effect in production.
   * @default false
   */
  debug: Type.Optional(Type.Boolean()),
  /**
   * Accept the origin `'*'`: any web page may read what this API answers.
   * @default false
   */
  dangerouslyAllowAnyOrigin: Type.Optional(Type.Boolean()),
  /**
   * Accept `http://` origins together with credentials, and http://localhost in production. Costs: whoever is on the
   * network path, or runs a program on the user's machine, can use the user's session.
   * @default false
   */
  dangerouslyAllowInsecureOrigins: Type.Optional(Type.Boolean()),
  /**
   * Accept `https://*.` patterns together with credentials for a domain of the public suffix list, under which strangers
   * can register names, as they can under co.uk and github.io.
   * @default false
   */
  dangerouslyAllowPublicSuffixes: Type.Optional(Type.Boolean())
}

/** The option `cors`. */
export const CorsOptionsSchema = Type.Object({
  /**
   * The web origins whose scripts may read answers: `https://app.example.com`, exactly as browsers write it. Two
   * patterns: `https://*.example.com` for every subdomain, however deep, and `http://localhost:*` for every port.
   */
  origins,
  ...shared
}, { additionalProperties: false })

/** The route option `config.cors`: laid over the application's, or `false` for none. It decides the preflight too. */
export const RouteCorsSchema = Type.Union([
  Type.Literal(false),
  Type.Object({
    /**
     * The origins of this route instead of the application's.
     * @default the application's
     */
    origins: Type.Optional(origins),
    ...shared
  }, { additionalProperties: false })
])

export type CorsOptions = Static<typeof CorsOptionsSchema>
export type RouteCors = Static<typeof RouteCorsSchema>
