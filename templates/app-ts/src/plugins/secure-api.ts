import { generateKeyPairSync } from 'node:crypto'
import secureApi, { type PolicyContext, type SecureApiOptions } from 'fastify-secure-api'
import type { Order } from '../orders.ts'
import { apiKeys } from '../api-keys.ts' // if apiKeys
import { developing, list, required, secret, setting } from '../settings.ts'

const audience = setting('SECURE_API_AUDIENCE') ?? '{{audience}}'
const origins = list('SECURE_API_CORS_ORIGINS')

/** @fastify/autoload hands this to the suite. */
export const autoConfig: SecureApiOptions = {
  auth: {
    apiKeys, // if apiKeys
    ...await issuers(),
    ...ownTokens()
  },
  authorization: { policies: { owner: isOwner } },
  cors: origins && { origins },
  rateLimit: limits()
}

export default secureApi

/** Without an issuer, `{{run}} dev` accepts the tokens that `{{run}} token` makes on this machine. */
async function issuers () {
  if (!developing && setting('SECURE_API_ISSUER') === undefined) return {} // if apiKeys
  if (!developing || setting('SECURE_API_ISSUER') !== undefined) return { issuers: [{ issuer: required('SECURE_API_ISSUER'), audience }] }
  const { developmentIssuer } = await import('fastify-secure-api/testing')
  return { issuers: [await developmentIssuer({ audience })] }
}

/** What POST /login signs with. In development the key is a new one at each start. */
function ownTokens () {
  const privateKey = secret('LOGIN_KEY') ?? (developing ? freshKey() : undefined)
  if (privateKey === undefined) return {}
  return { ownTokens: { issuer: developing ? 'http://localhost:3000' : required('PUBLIC_URL'), audience, privateKey } }
}

function freshKey (): string {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
}

/** An order belongs to who made it: `request.authorize('owner', order)`. */
function isOwner ({ principal, resource }: PolicyContext<{ Resource: Order }>): boolean {
  return resource?.owner === principal.subject
}

function limits () {
  const redis = secret('SECURE_API_REDIS_URL')
  return redis === undefined ? {} : { redis }
}

/** The names that rules may use: a misspelt one does not compile. */
declare module 'fastify-secure-api' {
  interface Register {
    scope: 'api.read' | 'api.write'
    policy: 'owner'
  }
}
