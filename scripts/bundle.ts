import { argv } from 'node:process'
import { fileURLToPath } from 'node:url'
import { buildSync } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))

/** What package.json publishes, and the program that `secure-api routes` forks. */
const entries = ['plugins/index.ts', 'testing/index.ts', 'cli/main.ts', 'cli/routes/probe.ts']

/**
 * Writes the published JavaScript into `folder`: some large files instead of 450, since each file of a module graph is found, read and
 * linked alone. The entries share their chunks, so that there is one instance of each class. What is imported on demand stays a chunk of
 * its own. Names and layout stay readable: nothing is minified, and each module has its path above it.
 */
export function bundle (folder: string): void {
  buildSync({
    absWorkingDir: root,
    entryPoints: entries,
    outdir: folder,
    outbase: '.',
    // One folder deep, as the files of cli/ are: see cli/place.ts.
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    packages: 'external',
    logLevel: 'warning'
  })
}

if (argv[1] === fileURLToPath(import.meta.url)) bundle('dist')
