import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { forged, tokens } from './material.mjs'

/**
 * Which tokens are sent; none at all when absent. Pools are named rather than handed over, since they are megabytes;
 * short lists of the moment come as they are.
 * @typedef {{ readonly alg: string, readonly count: number, readonly forged?: boolean } | { readonly list: readonly string[] }} Pool
 */

const folder = new URL('../.cache/pools/', import.meta.url)
const made = new Map()
const written = new Map()
process.on('exit', () => { for (const file of written.keys()) rmSync(file, { force: true }) })

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

/** The same in a file, one token a line, as the script of wrk reads them. */
export async function poolFile (pool) {
  const name = 'list' in pool ? 'list' : `${pool.alg}-${pool.count}${pool.forged ? '-forged' : ''}`
  const file = fileURLToPath(new URL(`${name}-${process.pid}.txt`, folder))
  const list = await poolOf(pool)
  if (written.get(file) === list) return file
  mkdirSync(folder, { recursive: true })
  writeFileSync(file, list.join('\n'))
  written.set(file, list)
  return file
}
