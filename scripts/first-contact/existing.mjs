import { execFile } from 'node:child_process'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const byHand = fileURLToPath(new URL('by-hand', import.meta.url))
const plugins = ['@fastify/cors', '@fastify/helmet', '@fastify/jwt', '@fastify/rate-limit', 'fastify']

/** What a reader types, in order. */
const commands = {
  report: 'npx secure-api init app.js > init.patch',
  diff: "grep '^[-+]' init.patch",
  apply: 'git apply init.patch',
  key: 'export SECURE_API_PRIVATE_KEY="$(openssl genpkey -algorithm ed25519)"',
  tried: 'node try.js'
}

/** An application composed by hand from the READMEs of the official plugins, in a folder of its own with all that it needs. */
export function prepareExisting (folder, root, suite) {
  cpSync(byHand, folder, { recursive: true })
  const { dependencies, devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const versions = { ...devDependencies, ...dependencies }
  writeFileSync(join(folder, 'package.json'), JSON.stringify({
    name: 'by-hand',
    private: true,
    type: 'module',
    dependencies: { ...Object.fromEntries(plugins.map(name => [name, versions[name]])), 'fastify-secure-api': `file:${suite}` }
  }))
}

/** `init` proposes the suite, git applies the diff, and the application answers as before. */
export async function tryExisting (folder, environment) {
  const shell = shellIn(folder, environment)
  const before = await shell(commands.tried)
  const { stderr: report } = await shell(commands.report)
  const { stdout: diff } = await shell(commands.diff)
  await shell(commands.apply)
  const tried = withoutAudit((await shell(`${commands.key} && ${commands.tried}`)).stdout)
  const [then, now] = [statusesOf(before.stdout), statusesOf(tried)]
  if (now !== '401 200 403 200' || now !== then) throw new Error(`answers before: ${then}, after: ${now}\n${tried}`)
  return [
    `$ ${commands.report}`, report, `$ ${commands.diff}`, diff, `$ ${commands.apply}`, `$ ${commands.key}`, `$ ${commands.tried}`, tried
  ].map(text => text.trim()).join('\n').replaceAll(/\n(?=\$ (?:npx|grep|git))/g, '\n\n')
}

function shellIn (cwd, env) {
  return async command => {
    try {
      return await promisify(execFile)('sh', ['-c', command], { cwd, env, timeout: 240_000 })
    } catch (error) {
      throw new Error(`${command} failed:\n${error.stdout}\n${error.stderr}`)
    }
  }
}

/** The trail holds times, and the page says that it is left out. */
function withoutAudit (printed) {
  return printed.split('\n').filter(line => !line.startsWith('{"level":')).join('\n')
}

function statusesOf (printed) {
  return [...printed.matchAll(/ (\d{3}) {2}/g)].map(([, status]) => status).join(' ')
}
