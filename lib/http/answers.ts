/**
 * Every refusal of the suite, by its stable code (RFC 9457 `code` member). `docs/errors.md` is checked against this table.
 * `challenge` is the `error` of the Bearer challenge (RFC 6750 §3), or the scheme of another one. The texts are fixed, so nothing of a
 * token or of a library's message reaches the caller.
 */
export interface Answer {
  readonly status: number
  /** The reason phrase of the status, as RFC 9457 §4.2.1 requires for `about:blank`. */
  readonly title: string
  readonly detail: string
  readonly challenge?: BearerError | 'ApiKey'
}

/** What a Bearer challenge may say. */
export type BearerError = 'none' | 'invalid_request' | 'invalid_token' | 'insufficient_scope'

const invalidKey = (detail: string): Answer => ({ status: 401, title: 'Unauthorized', detail, challenge: 'ApiKey' })
const invalidToken = (detail: string): Answer => ({ status: 401, title: 'Unauthorized', detail, challenge: 'invalid_token' })

export const answers = {
  SECURE_API_UNAUTHENTICATED: { status: 401, title: 'Unauthorized', detail: 'This resource requires a credential.', challenge: 'none' },
  SECURE_API_CREDENTIAL_AMBIGUOUS: {
    status: 400,
    title: 'Bad Request',
    detail: 'Send exactly one credential; a bearer token belongs in the Authorization header.',
    challenge: 'invalid_request'
  },
  SECURE_API_CREDENTIAL_INVALID: { status: 401, title: 'Unauthorized', detail: 'The credential is not valid.', challenge: 'none' },
  SECURE_API_CREDENTIAL_DPOP: invalidToken('DPoP is not supported. Send a bearer token that is not bound to a key.'),
  SECURE_API_CERTIFICATE_UNTRUSTED: {
    status: 400, title: 'Bad Request', detail: 'Only trusted proxies may send the header of a client certificate.'
  },
  SECURE_API_CERTIFICATE_MALFORMED: { status: 400, title: 'Bad Request', detail: 'The header of the client certificate is malformed.' },
  SECURE_API_CERTIFICATE_UNKNOWN: {
    status: 401, title: 'Unauthorized', detail: 'The client certificate belongs to no known caller.', challenge: 'none'
  },
  SECURE_API_CERTIFICATE_REVOKED: {
    status: 401, title: 'Unauthorized', detail: 'The client certificate has been revoked.', challenge: 'none'
  },
  SECURE_API_CERTIFICATE_EXPIRED: {
    status: 401, title: 'Unauthorized', detail: 'The client certificate has expired or is not valid yet.', challenge: 'none'
  },
  SECURE_API_TOKEN_MALFORMED: invalidToken('The token is malformed.'),
  SECURE_API_TOKEN_TOO_LARGE: invalidToken('The token is too large.'),
  SECURE_API_TOKEN_ALGORITHM: invalidToken('The signature algorithm is not accepted.'),
  SECURE_API_TOKEN_CRITICAL: invalidToken('The token has a critical header that is not supported.'),
  SECURE_API_TOKEN_TYPE: invalidToken('The token is not an access token.'),
  SECURE_API_TOKEN_ISSUER: invalidToken('The issuer is not accepted.'),
  SECURE_API_TOKEN_AUDIENCE: invalidToken('The token is intended for another audience.'),
  SECURE_API_TOKEN_AUDIENCE_MISSING: invalidToken('The token has no audience.'),
  SECURE_API_TOKEN_EXPIRED: invalidToken('The token has expired.'),
  SECURE_API_TOKEN_NOT_YET_VALID: invalidToken('The token is not valid yet.'),
  SECURE_API_TOKEN_TOO_OLD: invalidToken('The token was issued too long ago.'),
  SECURE_API_TOKEN_CLAIMS: invalidToken('A required claim is missing or has the wrong type.'),
  SECURE_API_TOKEN_KEY: invalidToken('The signing key is unknown.'),
  SECURE_API_TOKEN_SIGNATURE: invalidToken('The signature is invalid.'),
  SECURE_API_TOKEN_BOUND: invalidToken('The token is bound to a key and cannot be used as a bearer token.'),
  SECURE_API_TOKEN_INACTIVE: invalidToken('The token is not active.'),
  SECURE_API_TOKEN_REVOKED: invalidToken('The token has been revoked.'),
  SECURE_API_API_KEY_MALFORMED: invalidKey('The API key is malformed or mistyped.'),
  SECURE_API_API_KEY_UNKNOWN: invalidKey('The API key is not valid.'),
  SECURE_API_API_KEY_EXPIRED: invalidKey('The API key has expired.'),
  SECURE_API_API_KEY_REVOKED: invalidKey('The API key has been revoked.'),
  SECURE_API_API_KEY_ADDRESS: { status: 403, title: 'Forbidden', detail: 'The API key must not be used from this address.' },
  SECURE_API_API_KEYS_UNAVAILABLE: { status: 503, title: 'Service Unavailable', detail: 'API keys cannot be checked at the moment.' },
  SECURE_API_FORBIDDEN: { status: 403, title: 'Forbidden', detail: 'The credential does not permit this.' },
  SECURE_API_CROSS_SITE: {
    status: 403, title: 'Forbidden', detail: 'With a cookie, this request must come from a page of the same origin.'
  },
  SECURE_API_KEYS_UNAVAILABLE: { status: 503, title: 'Service Unavailable', detail: 'Signing keys are temporarily unavailable.' },
  SECURE_API_INTROSPECTION_UNAVAILABLE: { status: 503, title: 'Service Unavailable', detail: 'Introspection is temporarily unavailable.' },
  SECURE_API_REVOCATION_UNAVAILABLE: { status: 503, title: 'Service Unavailable', detail: 'Revocation status is temporarily unavailable.' },
  SECURE_API_AUTHENTICATOR_UNAVAILABLE: {
    status: 503, title: 'Service Unavailable', detail: 'Authentication is temporarily unavailable.'
  },
  // RFC 6749 §5.2, `invalid_grant`.
  SECURE_API_REFRESH_INVALID: { status: 400, title: 'Bad Request', detail: 'The refresh token is not valid. Sign in again.' },
  SECURE_API_REFRESH_REUSED: { status: 400, title: 'Bad Request', detail: 'The refresh token was used before. Sign in again.' },
  SECURE_API_REFRESH_UNAVAILABLE: {
    status: 503, title: 'Service Unavailable', detail: 'Refresh tokens are temporarily unavailable.'
  },
  SECURE_API_RATE_LIMITED: { status: 429, title: 'Too Many Requests', detail: 'The rate limit is exceeded.' },
  SECURE_API_RATE_LIMIT_UNAVAILABLE: { status: 503, title: 'Service Unavailable', detail: 'The rate limiter is temporarily unavailable.' },
  SECURE_API_CHALLENGE_REQUIRED: { status: 403, title: 'Forbidden', detail: 'Too many attempts. Complete the challenge and try again.' },
  SECURE_API_CORS_REFUSED: { status: 403, title: 'Forbidden', detail: 'This origin is not allowed to make this request.' },
  SECURE_API_METHOD_NOT_ALLOWED: { status: 405, title: 'Method Not Allowed', detail: 'This resource does not support this method.' },
  SECURE_API_NOT_FOUND: { status: 404, title: 'Not Found', detail: 'No resource exists at this address.' },
  SECURE_API_REPORT_MALFORMED: { status: 400, title: 'Bad Request', detail: 'The body does not match its content type.' },
  SECURE_API_INTERNAL: { status: 500, title: 'Internal Server Error', detail: 'A security check failed, so the request was refused.' },
  SECURE_API_APPLICATION_FAILED: { status: 500, title: 'Internal Server Error', detail: 'The server could not complete the request.' },
  SECURE_API_AUDIT_UNAVAILABLE: { status: 503, title: 'Service Unavailable', detail: 'The audit trail is temporarily unavailable.' },
  SECURE_API_NOT_READY: { status: 503, title: 'Service Unavailable', detail: 'This instance takes no traffic at the moment.' },
  SECURE_API_SERVER_CLOSING: { status: 503, title: 'Service Unavailable', detail: 'The server is shutting down.' },
  SECURE_API_REQUEST_MALFORMED: { status: 400, title: 'Bad Request', detail: 'The request is not valid HTTP.' },
  SECURE_API_REQUEST_URL: { status: 400, title: 'Bad Request', detail: 'The URL is invalid.' },
  SECURE_API_REQUEST_HOST: { status: 400, title: 'Bad Request', detail: 'The Host header is missing.' },
  SECURE_API_REQUEST_PARAMETER_TOO_LONG: { status: 414, title: 'URI Too Long', detail: 'A segment of the path is too long.' },
  SECURE_API_REQUEST_INVALID: { status: 400, title: 'Bad Request', detail: 'The request does not match what this resource expects.' },
  SECURE_API_REQUEST_BODY: { status: 400, title: 'Bad Request', detail: 'The body could not be parsed.' },
  SECURE_API_REQUEST_MEDIA_TYPE: { status: 415, title: 'Unsupported Media Type', detail: 'The content type is not supported here.' },
  SECURE_API_REQUEST_EXPECTATION: { status: 417, title: 'Expectation Failed', detail: 'The Expect header is not supported.' },
  SECURE_API_REQUEST_TIMEOUT: { status: 408, title: 'Request Timeout', detail: 'The request did not arrive in time.' },
  SECURE_API_REQUEST_TOO_LARGE: { status: 413, title: 'Payload Too Large', detail: 'The request is too large.' },
  SECURE_API_REQUEST_HEADERS_TOO_LARGE: { status: 431, title: 'Request Header Fields Too Large', detail: 'The headers are too large.' }
} as const satisfies Record<string, Answer>

export type AnswerCode = keyof typeof answers
/** Why a token was refused: the closed list of `SECURE_API_TOKEN_…`. */
export type TokenFailureCode = Extract<AnswerCode, `SECURE_API_TOKEN_${string}`>
