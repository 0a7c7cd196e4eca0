import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/**
 * tap comes built with all its plugins. It builds itself anew when .taprc names others, but only after it has chosen the module
 * loaders of the first run: so it is built before that.
 */
const built = readFileSync(fileURLToPath(import.meta.resolve('@tapjs/test/built')), 'utf8')
if (built.includes('@tapjs/mock')) {
  const tap = fileURLToPath(new URL('../node_modules/tap/dist/esm/run.mjs', import.meta.url))
  execFileSync(process.execPath, [tap, 'build'], { stdio: 'inherit' })
}
