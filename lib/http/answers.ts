/**
 * Every refusal the suite sends, by its stable code (RFC 9457 `code` member). `docs/errors.md` is checked against
 * this table. `challenge` is the `error` of the Bearer challenge (RFC 6750 §3); `description` comes from a closed
 * list, so that nothing of a token or of a library's message reaches the caller.
 */
export interface Answer {
  readonly status: number
  readonly title: string
  readonly detail: string
  readonly challenge?: 'none' | 'invalid_request' | 'invalid_token' | 'insufficient_scope'
}

const invalidToken = (detail: string): Answer => ({ status: 401, title: 'Invalid access token', detail, challenge: 'invalid_token' })

export const answers = {
  SECURE_API_UNAUTHENTICATED: { status: 401, title: 'Authentication required', detail: 'This resource needs an access token.', challenge: 'none' },
  SECURE_API_CREDENTIAL_AMBIGUOUS: { status: 400, title: 'Malformed or ambiguous credential', detail: 'Send exactly one Bearer token, in the Authorization header.', challenge: 'invalid_request' },
  SECURE_API_CREDENTIAL_DPOP: { status: 401, title: 'Authentication required', detail: 'DPoP is not supported here: send a Bearer token that is not bound to a key.', challenge: 'invalid_token' },
  SECURE_API_TOKEN_MALFORMED: invalidToken('The token is malformed.'),
  SECURE_API_TOKEN_TOO_LARGE: invalidToken('The token is too large.'),
  SECURE_API_TOKEN_ALGORITHM: invalidToken('The signature algorithm is not accepted.'),
  SECURE_API_TOKEN_CRITICAL: invalidToken('The token has a critical header that is not understood.'),
  SECURE_API_TOKEN_TYPE: invalidToken('The token is not an access token.'),
  SECURE_API_TOKEN_ISSUER: invalidToken('The issuer is not accepted.'),
  SECURE_API_TOKEN_AUDIENCE: invalidToken('The token is meant for another audience.'),
  SECURE_API_TOKEN_EXPIRED: invalidToken('The token has expired.'),
  SECURE_API_TOKEN_NOT_YET_VALID: invalidToken('The token is not valid yet.'),
  SECURE_API_TOKEN_TOO_OLD: invalidToken('The token was issued too long ago.'),
  SECURE_API_TOKEN_CLAIMS: invalidToken('A required claim is missing or has the wrong type.'),
  SECURE_API_TOKEN_KEY: invalidToken('The signing key is not known.'),
  SECURE_API_TOKEN_SIGNATURE: invalidToken('The signature is not valid.'),
  SECURE_API_TOKEN_BOUND: invalidToken('The token is bound to a key and cannot be used as a bearer token.'),
  SECURE_API_TOKEN_REVOKED: invalidToken('The token has been revoked.'),
  SECURE_API_FORBIDDEN: { status: 403, title: 'Forbidden', detail: 'The credential does not permit this.' },
  SECURE_API_KEYS_UNAVAILABLE: { status: 503, title: 'Authentication is unavailable', detail: 'Signing keys cannot be had at the moment.' },
  SECURE_API_REVOCATION_UNAVAILABLE: { status: 503, title: 'Authentication is unavailable', detail: 'Revocation cannot be checked at the moment.' },
  SECURE_API_RATE_LIMITED: { status: 429, title: 'Too many requests', detail: 'A rate limit is used up.' },
  SECURE_API_RATE_LIMIT_UNAVAILABLE: { status: 503, title: 'Temporarily reduced capacity', detail: 'The rate limit cannot be checked at the moment.' },
  SECURE_API_CHALLENGE_REQUIRED: { status: 403, title: 'Challenge required', detail: 'Too many attempts: pass the challenge, and send the request again.' },
  SECURE_API_CORS_REFUSED: { status: 403, title: 'Cross-origin request refused', detail: 'The origin may not make this request.' },
  SECURE_API_METHOD_NOT_ALLOWED: { status: 405, title: 'Method not allowed', detail: 'This resource does not have the method.' },
  SECURE_API_REPORT_MALFORMED: { status: 400, title: 'Malformed report', detail: 'The body is not a report of the type that it states.' },
  SECURE_API_INTERNAL: { status: 500, title: 'Internal error', detail: 'A control failed; the request was refused.' },
  SECURE_API_AUDIT_UNAVAILABLE: { status: 503, title: 'Auditing is unavailable', detail: 'The request cannot be recorded at the moment.' },
  SECURE_API_SERVER_CLOSING: { status: 503, title: 'Service unavailable', detail: 'The server is shutting down.' },
  SECURE_API_REQUEST_MALFORMED: { status: 400, title: 'Bad request', detail: 'The request is not valid HTTP.' },
  SECURE_API_REQUEST_URL: { status: 400, title: 'Bad request', detail: 'The URL is not valid.' },
  SECURE_API_REQUEST_HOST: { status: 400, title: 'Bad request', detail: 'The Host header is missing.' },
  SECURE_API_REQUEST_PARAMETER_TOO_LONG: { status: 414, title: 'URI too long', detail: 'A part of the path is longer than this server accepts.' },
  SECURE_API_REQUEST_EXPECTATION: { status: 417, title: 'Expectation failed', detail: 'The expectation is not understood.' },
  SECURE_API_REQUEST_TIMEOUT: { status: 408, title: 'Request timeout', detail: 'The request did not arrive in time.' },
  SECURE_API_REQUEST_TOO_LARGE: { status: 413, title: 'Content too large', detail: 'The request is larger than this server accepts.' },
  SECURE_API_REQUEST_HEADERS_TOO_LARGE: { status: 431, title: 'Request header fields too large', detail: 'The header fields are larger than this server accepts.' }
} as const satisfies Record<string, Answer>

export type AnswerCode = keyof typeof answers
/** Why a token was refused: the closed list of `SECURE_API_TOKEN_…`. */
export type TokenFailureCode = Extract<AnswerCode, `SECURE_API_TOKEN_${string}`>
