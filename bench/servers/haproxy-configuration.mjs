/** The headers that the suite sends with an API's answers. */
const headers = {
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'strict-transport-security': 'max-age=31536000; includeSubDomains',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store'
}

const bearer = 'http_auth_bearer'

/**
 * As HAProxy's own article on JSON Web Tokens has it, with what that leaves out: both limits, CORS, and headers on refusals too.
 *
 * @param {{ issuer: string, audience: string, origin: string, scope: string, algorithm: string, limit: number, addressLimit: number,
 *   port: number, folder: string, backend?: number }} setting
 */
export function configuration ({ issuer, audience, origin, scope, algorithm, limit, addressLimit, port, folder, backend }) {
  return `
global
  nbthread 1
  maxconn 2000
  tune.bufsize 32768

defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always

backend addresses
  stick-table type ipv6 size 100k expire 1m store http_req_rate(1m)

backend principals
  stick-table type string len 64 size 100k expire 1m store http_req_rate(1m)

frontend api
  bind 127.0.0.1:${port}
  acl foreign req.hdr(origin) -m found
  acl known req.hdr(origin) ${origin}
  http-request set-var(txn.origin) req.hdr(origin) if known
${after({ ...headers, vary: 'Origin' })}
  http-after-response set-header access-control-allow-origin %[var(txn.origin)] if { var(txn.origin) -m found }
  http-after-response set-header access-control-expose-headers retry-after if { var(txn.origin) -m found }
  http-request track-sc0 src table addresses
  http-request return status 429 hdr retry-after 60 if { sc_http_req_rate(0) gt ${counted(addressLimit)} }
  http-request return status 403 if METH_OPTIONS foreign !known
  http-request set-var(txn.alg) ${bearer},jwt_header_query('$.alg')
  http-request set-var(txn.iss) ${bearer},jwt_payload_query('$.iss')
  http-request set-var(txn.aud) ${bearer},jwt_payload_query('$.aud')
  http-request set-var(txn.exp) ${bearer},jwt_payload_query('$.exp','int')
  http-request set-var(txn.sub) ${bearer},jwt_payload_query('$.sub')
  http-request set-var(txn.scope) ${bearer},jwt_payload_query('$.scope')
  http-request set-var(txn.now) date()
  http-request return status 401 hdr www-authenticate Bearer unless { var(txn.alg) -m str ${algorithm} }
  http-request return status 401 hdr www-authenticate Bearer unless { var(txn.iss) -m str ${issuer} }
  http-request return status 401 hdr www-authenticate Bearer unless { var(txn.aud) -m str ${audience} }
  http-request return status 401 hdr www-authenticate Bearer if { var(txn.exp),sub(txn.now) lt 0 }
  http-request return status 401 hdr www-authenticate Bearer unless { ${bearer},jwt_verify(txn.alg,"${folder}/key.pem") 1 }
  http-request track-sc1 var(txn.sub) table principals
  http-request return status 429 hdr retry-after 60 if { sc_http_req_rate(1) gt ${counted(limit)} }
  http-request return status 403 unless { var(txn.scope) -m reg (^|\\s)${scope.replaceAll('.', '[.]')}(\\s|$) }
${backend === undefined ? answering(folder) : forwarding(backend)}`
}

function answering (folder) {
  return `  http-request return status 200 content-type application/json file ${folder}/order.json if { path /orders }
`
}

function forwarding (port) {
  return `  default_backend application

backend application
  server fastify 127.0.0.1:${port}
`
}

function after (table) {
  return Object.entries(table).map(([name, value]) => `  http-after-response set-header ${name} "${value}"`).join('\n')
}

/** Counters are 32 bits wide, and of a limit that is never reached only that matters. */
function counted (limit) {
  return Math.min(limit, 2_000_000_000)
}
