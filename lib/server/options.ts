import { DurationSchema, EnvironmentSchema, Type, type Static } from '../config/index.ts'
import { SecretNowSchema } from '../secrets/index.ts'

const PemSchema = Type.String({ secret: true })

/** A certificate and its key, as a provider hands them out: PEM text each. */
export interface CertificateMaterial {
  /** The server's certificate first, then the intermediates. */
  readonly cert: string
  readonly key: string
}

/** Returns the current certificate; called once per check, with a signal for its time-out. */
export type CertificateProvider = (signal: AbortSignal) => CertificateMaterial | Promise<CertificateMaterial>

/** Where certificates come from, and what they must satisfy. Every source is the path of a file, or PEM text. */
const TlsOptionsSchema = Type.Object({
  /** The server's certificate followed by its intermediates: the path of a file, or PEM text (an environment variable). */
  cert: Type.Optional(PemSchema),
  /** The private key of `cert`: the path of a file that only its owner reads, or PEM text. */
  key: Type.Optional(PemSchema),
  /** Start in production even if other users of the machine can read the file of `key`. @default false */
  dangerouslyAllowOpenKeyFile: Type.Optional(Type.Boolean()),
  /** The passphrase of an encrypted key: `{ env }` or `{ file }`, which is read again with the key. */
  passphrase: Type.Optional(SecretNowSchema),
  /** Intermediates, if they are not in `cert`: the path of a file, or PEM text. */
  chain: Type.Optional(PemSchema),
  /**
   * A function that returns `{ cert, key }` as PEM text, called at each check of `reload`. Without `cert` and `key` it is
   * called at start too, and must then return synchronously.
   */
  provider: Type.Optional(Type.Function<CertificateProvider>()),
  /** Names and addresses that the certificate must be valid for; checked at start and at each reload. @default not checked */
  hosts: Type.Optional(Type.Array(Type.String({ pattern: '^[^*\\s/]+$', hint: 'Write a host name or an address.' }), { minItems: 1 })),
  /** `'TLSv1.3'` excludes clients older than about 2018. Nothing lower is accepted. @default 'TLSv1.2' */
  minVersion: Type.Optional(Type.Unsafe<'TLSv1.2' | 'TLSv1.3'>(Type.String())),
  /** How long a client may take for the handshake. @default '10 seconds' */
  handshakeTimeout: Type.Optional(DurationSchema),
  /** Requests client certificates (mutual TLS). */
  clientCertificates: Type.Optional(Type.Object({
    /** The CAs that may issue them: the path of a file with one or several certificates, or PEM text. Never a public CA. */
    ca: PemSchema,
    /** The path of a file with certificate revocation lists, or PEM text. An expired list refuses everyone. */
    crl: Type.Optional(PemSchema),
    /** `false` admits clients without one, for `auth.clientCertificates` beside tokens. @default true */
    required: Type.Optional(Type.Boolean())
  })),
  /**
   * How often files and provider are checked for a new certificate, at least 1 second; `false` for never. Open connections keep their
   * certificate. @default '1 minute'
   */
  reload: Type.Optional(Type.Union([Type.Literal(false), DurationSchema]))
})

/** Options of `secureServer()`. */
export const SecureServerOptionsSchema = Type.Object({
  /** Certificate and key. Absent, the server speaks plain HTTP, which in production needs `trustProxy`. */
  tls: Type.Optional(TlsOptionsSchema),
  /** HTTP/2, with HTTP/1.1 for clients that know no other; needs `tls`. @default false */
  http2: Type.Optional(Type.Boolean()),
  /**
   * Addresses and networks (`'10.0.0.0/8'`, `'::1'`, `'loopback'`) of the proxies whose `X-Forwarded-…` headers are trusted. A number and
   * `true` are refused: they trust any caller. @default false
   */
  trustProxy: Type.Optional(Type.Unsafe<false | string | string[]>({})),
  /** Allows plain HTTP without a proxy in production, so that tokens travel unencrypted. @default false */
  dangerouslyAllowPlaintext: Type.Optional(Type.Boolean()),
  /** Largest body, in bytes; a route can set its own `bodyLimit`. Larger ones are answered 413. @default 262_144 */
  bodyLimit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_073_741_824 })),
  /** Longest path parameter, in characters; longer ones are answered 414. High values slow regular expressions down. @default 100 */
  maxParamLength: Type.Optional(Type.Integer({ minimum: 1, maximum: 8192 })),
  /** Request line and headers together, in bytes; more is answered 431. @default 16_384 */
  maxHeaderSize: Type.Optional(Type.Integer({ minimum: 1024, maximum: 131_072 })),
  /** How long a client may take to send the headers; checked every 5 seconds. Against slow clients. @default '10 seconds' */
  headersTimeout: Type.Optional(DurationSchema),
  /** How long a client may take to send the whole request. Large uploads over slow lines need more. @default '30 seconds' */
  requestTimeout: Type.Optional(DurationSchema),
  /**
   * How long a connection may be idle during a request, including an unread response and a silent handler. Must be longer than the slowest
   * handler. @default '2 minutes'
   */
  connectionTimeout: Type.Optional(DurationSchema),
  /** How long an idle connection is kept. Longer than the load balancer's timeout, or requests are lost. @default '72 seconds' */
  keepAliveTimeout: Type.Optional(DurationSchema),
  /** When a handler is given up and answered 503; a route can set its own. @default no limit but `connectionTimeout` */
  handlerTimeout: Type.Optional(DurationSchema),
  /**
   * The header with the request id of a trusted proxy, such as `'x-request-id'`. Accepted from proxies in `trustProxy` only, and only 1 to
   * 128 letters, digits, `.`, `_`, `:`, `-`. @default none: each request gets a random UUID
   */
  requestIdHeader: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9-]+$', hint: "Write a header name, such as 'x-request-id'." })),
  /** Answers 503 to requests on open connections while the server closes; `false` still serves them. @default true */
  return503OnClosing: Type.Optional(Type.Boolean()),
  /** @default NODE_ENV, and production when that is unset */
  environment: Type.Optional(EnvironmentSchema)
})

export type TlsOptions = Static<typeof TlsOptionsSchema>
export type SecureServerOptions = Static<typeof SecureServerOptionsSchema>
