import type { FastifyRequest } from 'fastify'
import type { Principal } from '../credentials/index.ts'
import { addressOf, noteFunctionFailed } from '../http/index.ts'
import { Marks } from '../marks/index.ts'
import { addressKey } from './address.ts'
import type { Partition } from './options.ts'

/** The budget key of a request. The issuer's length is part of it, so no name can collide with another caller's key. */
export function partitionOf (by: Partition): (request: FastifyRequest) => string {
  if (typeof by === 'function') return request => custom(by, request) ?? addressPartition(request)
  if (by === 'address') return addressPartition
  const read = memoized(readers[by])
  return request => read(request.auth) ?? addressPartition(request)
}

const readers = {
  principal: (principal: Principal) => key('p', principal.issuer, principal.subject),
  client: (principal: Principal) => key('c', principal.issuer, principal.client),
  tenant: (principal: Principal) => key('t', principal.issuer, principal.tenant),
  // By the key and not by its owner, who may have many. Callers of an authenticator may have a subject alone.
  'api-key': ({ kind, issuer, client, subject }: Principal) =>
    kind === 'api-key' ? key('k', issuer, client) ?? key('s', issuer, subject) : undefined
}

/** Requests share principals, so each key is made once. */
function memoized (read: (principal: Principal) => string | undefined): (principal: Principal | undefined) => string | undefined {
  const keys = new Marks<Principal, string | undefined>()
  return principal => principal === undefined || principal.kind === 'anonymous' ? undefined : keys.ofOr(principal, read)
}

function key (kind: string, issuer: string | undefined, name: string | undefined): string | undefined {
  return name === undefined ? undefined : `${kind}${issuer?.length ?? 0}:${issuer ?? ''}:${name}`
}

const addresses = new Map<string | undefined, string>()
const mostAddresses = 10_000

/** Keys of recent addresses: most callers return, and a look-up is faster than parsing. */
export function addressPartition (request: FastifyRequest): string {
  return partitionOfAddress(addressOf(request))
}

export function partitionOfAddress (ip: string | undefined): string {
  const known = addresses.get(ip)
  if (known !== undefined) return known
  const made = `a:${addressKey(ip)}`
  if (addresses.size >= mostAddresses) addresses.clear()
  addresses.set(ip, made)
  return made
}

/** If the application's function fails or returns nothing, the request counts by address: never without a budget. */
function custom (by: (request: FastifyRequest) => string | undefined, request: FastifyRequest): string | undefined {
  try {
    const name = by(request)
    return typeof name === 'string' && name !== '' ? `x:${name}` : undefined
  } catch (error) {
    noteFunctionFailed(request, 'partition', { err: error }, 'a rate-limit partition failed; the request counts by address')
    return undefined
  }
}
