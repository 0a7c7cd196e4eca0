/** More than anything here sends: limits are counted, and refuse nothing. */
const NEVER = 1_000_000_000

/** Larger than the largest rotation, so that every token is seen again. */
const SPACIOUS = 25_000
/** Much smaller than the rotation, so that every token is a new one. */
const CROWDED = 1000

export const calm = Object.freeze({ cache: SPACIOUS, limit: NEVER, addressLimit: NEVER, audit: 'none' })

/**
 * One load, and who is put under it. `pool` says which tokens are sent, `expect` the status that nearly every answer
 * must have, `setting` what every server is started with. Servers of `checked: false` always get a plain request.
 * @typedef {{ name: string, title: string, algorithm: string, pool?: import('./pools.mjs').Pool, method?: string, headers?: Record<string,
 * string>,
 *   setting: object, expect: number, variants: readonly string[], needs?: 'redis', refused?: true }} Group
 */

const suites = ['suite', 'suite+server']
const few = ['bare+token', ...suites, 'official']
const some = [...few, 'express', 'haproxy']
const all = ['bare+token', ...suites, 'official', 'fastify-jwt-jwks', 'express', 'hono', 'nest', 'koa', 'haproxy', 'haproxy+fastify']

/** @type {readonly Group[]} */
export const quick = Object.freeze([rotation('RS256', 1, few), rotation('RS256', 20_000, few), rotation('RS256', 'new', few)])

/** @type {readonly Group[]} */
export const full = Object.freeze([
  rotation('RS256', 1, all),
  rotation('RS256', 1000, some),
  rotation('RS256', 20_000, all),
  rotation('RS256', 'new', some),
  ...['ES256', 'EdDSA'].flatMap(algorithm => [rotation(algorithm, 1, some),
    rotation(algorithm, 20_000, algorithm === 'ES256' ? all : some), rotation(algorithm, 'new', some)]),
  shared('exact', 'every answer from Redis', {}),
  shared('leases', 'leases from Redis', { lease: true }),
  {
    ...rotation('RS256', 1, [...suites, 'suite:pino', 'suite+server:pino', 'suite:chain']),
    name: 'audit',
    title: 'Where the audit trail goes'
  },
  ...refusals()
])

/** What `--check` looks at: the ways through the suite that must not grow. */
export const guarded = Object.freeze([
  rotation('RS256', 1, suites),
  rotation('RS256', 20_000, suites),
  ...refusals().filter(({ name }) => ['refused-address', 'refused-forged', 'refused-preflight'].includes(name))
])

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

/** @returns {Group} */
function shared (name, title, setting) {
  const group = rotation('RS256', 1000, suites)
  return {
    ...group,
    name: `redis-${name}`,
    title: `Limits shared in Redis, ${title}, 1,000 tokens in turn`,
    setting: { ...group.setting, ...setting },
    needs: 'redis'
  }
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
