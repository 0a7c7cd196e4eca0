import { pathToFileURL } from 'node:url'
import { resolve } from 'node:path'

/** The folder of the built suite. Another one than this checkout's `dist/` is given to its processes through the environment. */
const folder = process.env['BENCH_DIST'] === undefined
  ? new URL('../../dist/', import.meta.url)
  : pathToFileURL(`${resolve(process.env['BENCH_DIST'])}/`)

/** The suite's entry point. */
export const loadSuite = () => import(new URL('plugins/index.js', folder).href)

/** `fastify-secure-api/testing`. */
export const loadTesting = () => import(new URL('testing/index.js', folder).href)
