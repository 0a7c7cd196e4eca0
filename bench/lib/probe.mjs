import { request } from 'node:http'
import { forged, issuer, origin, token, tokens } from './material.mjs'
import { launch } from './measure.mjs'
import { variants } from './variants.mjs'

/** What a server must answer before it is worth timing, and the request that shows it. */
const checks = [
  { name: 'good token', expected: [200], send: async alg => ({ token: (await tokens(alg, 1))[0] }), also: hasControls },
  { name: 'no token', expected: [401], send: () => ({}) },
  { name: 'forged signature', expected: [401], send: async alg => ({ token: (await forged(alg, 1))[0] }) },
  { name: 'expired', expected: [401], send: async alg => ({ token: await token(alg, { claims: { exp: 1_600_000_000 } }) }) },
  { name: 'other audience', expected: [401], send: async alg => ({ token: await token(alg, { claims: { aud: 'api://other' } }) }) },
  { name: 'other issuer', expected: [401], send: async alg => ({ token: await token(alg, { claims: { iss: `${issuer}other` } }) }) },
  { name: 'algorithm none', expected: [401], send: async alg => ({ token: unsigned(await token(alg, { header: { alg: 'none' } })) }) },
  { name: 'scope missing', expected: [403], send: async alg => ({ token: await token(alg, { claims: { scope: 'openid' } }) }) },
  {
    name: 'foreign preflight',
    expected: [200, 204, 401, 403, 404],
    send: () => ({ method: 'OPTIONS', headers: { origin: 'https://evil.example', 'access-control-request-method': 'GET' } }),
    also: hasNoOrigin
  }
]

/**
 * Asks one server all of them, and two short-lived ones with low limits for the 429s.
 * @typedef {{ readonly check: string, readonly got: number | string }} Finding what is not as it should be
 * @returns {Promise<readonly Finding[]>}
 */
export async function probe (variant, { algorithm, setting }, around) {
  if (variants[variant].checked === false) return []
  const findings = await running(variant, setting, around,
    async port => (await inTurn(checks, check => ask(port, check, algorithm))).flat())
  if (findings.some(isFatal)) return findings
  const limits = [['limit of the principal', { limit: 2 }, 429], ['limit of the address', { addressLimit: 2 }, 429]]
  return [...findings, ...(await inTurn(limits, limit => exceed(variant, limit, { algorithm, setting }, around))).flat()]
}

/** A server that answers no good token, or any bad one, is not timed. */
export function isFatal ({ check, got }) {
  return check === 'good token' || String(got).startsWith('2')
}

async function ask (port, { name, expected, send, also }, algorithm) {
  const answer = await fetchOrder(port, await send(algorithm))
  if (!expected.includes(answer.status)) return [{ check: name, got: answer.status }]
  const lacking = also?.(answer)
  return lacking === undefined ? [] : [{ check: name, got: lacking }]
}

async function exceed (variant, [check, low, expected], { algorithm, setting }, around) {
  const [mine] = await tokens(algorithm, 1)
  const statuses = await running(variant, { ...setting, ...low }, around,
    port => inTurn([1, 2, 3, 4], async () => (await fetchOrder(port, { token: mine })).status))
  return statuses.at(-1) === expected ? [] : [{ check, got: statuses.at(-1) }]
}

async function running (variant, setting, around, use) {
  const server = await launch(variant, setting, around)
  try {
    return await use(server.port)
  } finally {
    await server.stop()
  }
}

async function inTurn (list, step) {
  const results = []
  for (const item of list) results.push(await step(item))
  return results
}

/** @returns {Promise<{ status: number, headers: import('node:http').IncomingHttpHeaders, body: string }>} */
function fetchOrder (port, { token: bearer, method = 'GET', headers }) {
  const authorization = bearer === undefined ? undefined : { authorization: `Bearer ${bearer}` }
  return new Promise((resolve, reject) => {
    request({ port, host: '127.0.0.1', path: '/orders', method, headers: { origin, ...headers, ...authorization }, agent: false },
      async response => {
        const chunks = await response.toArray()
        resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks).toString() })
      }).on('error', reject).end()
  })
}

/** One header of each kind, and the body. */
function hasControls ({ headers, body }) {
  if (JSON.parse(body).state !== 'confirmed') return 'another body'
  if (headers['access-control-allow-origin'] !== origin) return 'no CORS header'
  if (headers['x-content-type-options'] !== 'nosniff') return 'no security headers'
  return undefined
}

function hasNoOrigin ({ headers }) {
  const allowed = headers['access-control-allow-origin']
  return allowed === undefined || allowed === 'null' || allowed === '' ? undefined : `allows ${allowed}`
}

function unsigned (text) {
  return text.slice(0, text.lastIndexOf('.') + 1)
}
