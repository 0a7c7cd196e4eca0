import { forged, tokens } from './material.mjs'

/**
 * Which tokens are sent; none at all when absent. Pools are named rather than handed over, since they are megabytes;
 * short lists of the moment come as they are.
 * @typedef {{ readonly alg: string, readonly count: number, readonly forged?: boolean } | { readonly list: readonly string[] }} Pool
 */

const made = new Map()

/** @param {Pool | undefined} pool @returns {Promise<readonly string[]>} */
export async function poolOf (pool) {
  if (pool === undefined) return []
  if ('list' in pool) return pool.list
  const name = JSON.stringify(pool)
  const present = made.get(name)
  if (present !== undefined) return present
  const list = await (pool.forged ? forged : tokens)(pool.alg, pool.count)
  made.set(name, list)
  return list
}
