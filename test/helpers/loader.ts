/**
 * The arguments of a Node that runs TypeScript as the tests do. `process.execArgv` would hand on tap's own loaders too,
 * which take longer to load than the programs of the tests run.
 */
export const loader: readonly string[] = ['--expose-internals',
  `--import=${new URL('../../scripts/test-loader.mjs', import.meta.url).href}`]
