/** More than anything here sends: limits are counted, and refuse nothing. */
const NEVER = 1_000_000_000

/** Larger than the largest rotation, so that every token is seen again. */
const SPACIOUS = 25_000
/** Much smaller than the rotation, so that every token is a new one. */
const CROWDED = 1000

export const calm = Object.freeze({ cache: SPACIOUS, limit: NEVER, addressLimit: NEVER, audit: 'none' })

/**
 * One load, and who is put under it. `pool` says which tokens are sent, `expect` the status that nearly every answer
 * must have, `setting` what every server is started with, `couples` who is compared with whom
 * beside bare Fastify, `times` how many times as many windows there are, each so
 * many times as long. Servers of `checked: false` always get a plain request.
 * @typedef {{ name: string, title: string, algorithm: string, pool?: import('./pools.mjs').Pool, method?: string, headers?: Record<string,
 * string>,
 *   setting: object, expect: number, variants: readonly string[], couples?: readonly (readonly [string, string])[], times?: number,
 *   needs?: 'redis', refused?: true }} Group
 */

const suites = ['suite', 'suite+server']
const some = ['bare+token', ...suites, 'official', 'express', 'haproxy']
const all = ['bare+token', ...suites, 'official', 'fastify-jwt-jwks', 'express', 'hono', 'nest', 'koa', 'haproxy', 'haproxy+fastify']

/** @type {readonly Group[]} */
export const quick = Object.freeze([rotation('RS256', 1, suites), rotation('RS256', 20_000, suites), rotation('RS256', 'new', suites)])

/** @type {readonly Group[]} */
export const full = Object.freeze([
  rotation('RS256', 1, all),
  rotation('RS256', 1000, some),
  rotation('RS256', 20_000, some),
  rotation('RS256', 'new', some),
  ...['ES256', 'EdDSA'].flatMap(algorithm =>
    [rotation(algorithm, 1, some), rotation(algorithm, 20_000, some), rotation(algorithm, 'new', some)]),
  shared('redis-exact', 'Limits shared in Redis, every answer from Redis, 1,000 tokens in turn'),
  // Of a limit that nobody reaches: a thousand requests.
  shared('redis-leased', 'Limits shared in Redis, leases of 1,000 requests, 1,000 tokens in turn', { leased: 1e-6 }),
  besides('audit-pino', 'Audit through pino', [['suite:pino', 'suite'], ['suite+server:pino', 'suite+server']]),
  besides('audit-chain', 'Audit to a chained file', [['suite:chain', 'suite'], ['suite+server:chain', 'suite+server']]),
  besides('metrics', 'Metrics by the SDK of OpenTelemetry', [['suite+server:metrics', 'suite+server']]),
  ...refusals()
])

/** @param {string} name @param {string} title @param {object} [more] @returns {Group} */
function shared (name, title, more) {
  const group = rotation('RS256', 1000, suites)
  return { ...group, name, title, setting: { ...group.setting, ...more }, needs: 'redis' }
}

/** @param {string} algorithm @param {number | 'new'} count @param {readonly string[]} variants @returns {Group} */
function rotation (algorithm, count, variants) {
  const fresh = count === 'new'
  return {
    name: `${algorithm}-${count}`,
    title: `${algorithm}, ${fresh ? 'every token new' : count === 1 ? 'one token' : `${count.toLocaleString('en')} tokens in turn`}`,
    algorithm,
    pool: { alg: algorithm, count: fresh ? 20_000 : count },
    setting: { ...calm, algorithm, cache: fresh ? CROWDED : SPACIOUS },
    expect: 200,
    variants
  }
}

/** What an option costs, beside the same server without it: so little that it takes more and longer windows to tell. @returns {Group} */
function besides (name, title, couples) {
  return { ...rotation('RS256', 1, [...new Set(couples.flat())]), name, title, couples, times: 2 }
}

/** What strangers and callers over their limit cost, beside a bare Fastify that answers 200. @returns {readonly Group[]} */
function refusals () {
  const one = { alg: 'ES256', count: 1 }
  const refused = (name, title, expect, group) =>
    ({
      algorithm: 'ES256',
      variants: suites,
      refused: true,
      name: `refused-${name}`,
      title,
      expect,
      ...group,
      setting: { ...calm, algorithm: 'ES256', ...group.setting }
    })
  return [
    refused('limit', '429, limit of the principal', 429, { pool: one, setting: { limit: 1 } }),
    refused('address', '429, limit of the address', 429, { pool: one, setting: { addressLimit: 1 } }),
    refused('forged', 'forged ES256 tokens, limit of failures on', 429,
      { pool: { alg: 'ES256', count: 20_000, forged: true }, setting: {} }),
    refused('verified', 'forged ES256 tokens, each one verified', 401,
      { pool: { alg: 'ES256', count: 20_000, forged: true }, setting: { failures: NEVER } }),
    refused('anonymous', 'no token', 401, { setting: { failures: NEVER } }),
    refused('preflight', 'preflight of a foreign origin', 403,
      { method: 'OPTIONS', headers: { origin: 'https://evil.example', 'access-control-request-method': 'GET' }, setting: {} })
  ]
}
