import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The peers are installed here and nowhere else; the suite is what this checkout builds, or the folder that is given. */
export function prepare (dist) {
  if (!existsSync(new URL('../node_modules/autocannon', import.meta.url))) npm(['ci', '--no-audit', '--no-fund'], '..')
  if (dist === undefined) npm(['run', '--silent', 'build'], '../..')
  else process.env['BENCH_DIST'] = resolve(dist)
}

function npm (parameters, folder) {
  const cwd = fileURLToPath(new URL(`${folder}/`, import.meta.url))
  const { status } = spawnSync('npm', parameters, { cwd, stdio: ['ignore', process.stderr.fd, process.stderr.fd] })
  if (status !== 0) throw new Error(`npm ${parameters.join(' ')} failed in ${cwd}`)
}
