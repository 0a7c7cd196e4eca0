import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort } from './free-port.mjs'

/** Packs what is published, installs it beside Fastify in an empty folder, and uses it as a stranger would. */
const root = fileURLToPath(new URL('..', import.meta.url))
const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

const probe = `
const app = fastify()
await app.register(secureApi, {
  auth: { issuer: 'https://login.example.com', audience: 'api://orders', startup: 'lazy' },
  audit: { sink: () => {} },
  environment: 'production'
})
app.get('/orders', { config: { scope: 'api.read' } }, async () => [])
app.get('/health', { config: { public: true } }, async () => ({ ok: true }))
const expect = (what, got, wanted) => { if (got !== wanted) throw new Error(what + ': got ' + got + ', expected ' + wanted) }
const orders = await app.inject('/orders')
expect('GET /orders without a token', orders.statusCode, 401)
expect('its challenge', orders.headers['www-authenticate'], 'Bearer realm="api"')
expect('its code', orders.json().code, 'SECURE_API_UNAUTHENTICATED')
expect('GET /health', (await app.inject('/health')).statusCode, 200)
const unknown = await app.inject('/nowhere')
expect('GET /nowhere', unknown.statusCode, 404)
expect('its headers', unknown.headers['x-content-type-options'], 'nosniff')
await app.close()
`

const programs = {
  'import.mjs': `import fastify from 'fastify'\nimport secureApi from 'fastify-secure-api'\nimport 'fastify-secure-api/testing'\n${probe}`,
  'require.cjs': `const fastify = require('fastify')
const secureApi = require('fastify-secure-api')
if (typeof secureApi !== 'function') throw new Error('require() gave ' + typeof secureApi + ', not the plugin')
async function main () {${probe}}
main().catch(error => { console.error(error); process.exitCode = 1 })`
}

/** How other package managers than npm put the package into a folder, and run a file there. `npm run smoke -- pnpm`. */
const yarn = ['npx', '--yes', '-p', '@yarnpkg/cli-dist', 'yarn']
const managers = {
  pnpm: { add: ['npx', '--yes', 'pnpm', 'add', '--ignore-scripts'], node: [process.execPath] },
  // Plug'n'Play, the default of yarn from 2 on: there is no node_modules, and what a package does not declare it cannot load.
  yarn: { add: [...yarn, 'add'], node: [...yarn, 'node'] }
}

const [other] = process.argv.slice(2)
const folder = mkdtempSync(join(tmpdir(), 'secure-api-smoke-'))
try {
  if (other !== undefined) useWith(other, folder)
  else await useWithNpm(folder)
} finally {
  rmSync(folder, { recursive: true, force: true })
}

function useWith (name, folder) {
  const manager = managers[name]
  if (manager === undefined) throw new Error(`${name} is none of ${Object.keys(managers).join(', ')}`)
  const tarball = pack(folder)
  if (name === 'yarn') writeFileSync(join(folder, 'yarn.lock'), '')
  const [command, ...args] = [...manager.add, `fastify-secure-api@file:${tarball}`, `fastify@${devDependencies.fastify}`]
  execFileSync(command, args, { cwd: folder, stdio: 'inherit', env: { ...process.env, CI: '' } })
  for (const [file, source] of Object.entries(programs)) run(folder, file, source, manager.node)
}

async function useWithNpm (folder) {
  npm(folder, 'install', '--no-audit', '--no-fund', '--prefer-offline', pack(folder), `fastify@${devDependencies.fastify}`)
  for (const [name, source] of Object.entries(programs)) run(folder, name, source)
  listRoutes(folder)
  followReadme(join(folder, 'node_modules/fastify-secure-api'))
  await serveReadme(folder)
  compileReadme(folder)
}

function pack (folder) {
  const [{ filename }] = JSON.parse(npm(root, 'pack', '--ignore-scripts', '--json', '--pack-destination', folder))
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n')
  return join(folder, filename)
}

function run (folder, name, source, [command, ...args] = [process.execPath]) {
  writeFileSync(join(folder, name), source)
  execFileSync(command, [...args, join(folder, name)], { cwd: folder, stdio: 'inherit', timeout: 240_000 })
  console.log(`ok ${name}`)
}

/** The command finds the program that it forks, and its own frames in a stack, wherever the bundle put them. */
function listRoutes (folder) {
  writeFileSync(join(folder, 'app.mjs'), `import secureApi from 'fastify-secure-api'
export default async function app (fastify) {
  await fastify.register(secureApi, { auth: { issuer: 'https://login.example.com', audience: 'api://orders' } })
  fastify.get('/orders', { config: { scope: 'api.read' } }, async () => [])
}
`)
  const command = join(folder, 'node_modules/.bin/secure-api')
  const printed = execFileSync(command, ['routes', 'app.mjs', '--json'], { cwd: folder, encoding: 'utf8' })
  const { source } = JSON.parse(printed).routes.find(({ url }) => url === '/orders')
  if (source?.file !== 'app.mjs' || source.line !== 4) throw new Error(`routes: /orders is declared in ${JSON.stringify(source)}`)
  console.log('ok routes')
}

/** Where npm has put the package, and on its page, every link of the README has to lead somewhere. */
function followReadme (folder) {
  const links = [...readFileSync(join(folder, 'README.md'), 'utf8').matchAll(/\]\(([^)\s#]+)[^)]*\)/g)].map(([, link]) => link)
  const own = links.filter(link => !/^https:/.test(link))
  const dead = own.filter(link => !existsSync(join(folder, link)))
  if (own.length === 0 || dead.length > 0) throw new Error(`README: of ${own.length} links these lead nowhere: ${dead.join(', ')}`)
  console.log(`ok ${own.length} links`)
}

/** The usage snippet of the README as pasted, asked over HTTP. */
async function serveReadme (folder) {
  writeFileSync(join(folder, 'readme.mjs'), readmeSnippet())
  const port = await freePort()
  const server = spawn(process.execPath, ['readme.mjs'],
    { cwd: folder, env: { ...process.env, PORT: String(port) }, stdio: ['ignore', 'ignore', 'inherit'] })
  try {
    for (const [path, wanted] of [['/health', 200], ['/orders', 401]]) {
      const { status } = await ask(`http://localhost:${port}${path}`, server)
      if (status !== wanted) throw new Error(`README: GET ${path} gave ${status}, expected ${wanted}`)
    }
    console.log('ok README')
  } finally {
    server.kill()
    if (server.exitCode === null && server.signalCode === null) await once(server, 'exit')
  }
}

/** The same against the types that are published, and two mistakes that they must find. */
function compileReadme (folder) {
  writeFileSync(join(folder, 'readme.mts'), `${readmeSnippet()}
// @ts-expect-error the option is called origins
export const options: import('fastify-secure-api').SecureApiOptions = { cors: { allowedOrigins: ['https://app.example.com'] } }
// @ts-expect-error a scope is a name
export const config: import('fastify').FastifyContextConfig = { scope: 5 }
`)
  const modules = join(root, 'node_modules')
  const options = ['--noEmit', '--strict', '--skipLibCheck', '--target', 'es2022', '--module', 'nodenext', '--types', 'node',
    '--typeRoots', join(modules, '@types')]
  execFileSync(process.execPath, [join(modules, 'typescript/bin/tsc'), ...options, 'readme.mts'], { cwd: folder, stdio: 'inherit' })
  console.log('ok types')
}

function readmeSnippet () {
  const [, snippet] = /## Usage\n+```ts\n(.*?)```/s.exec(readFileSync(join(root, 'README.md'), 'utf8'))
  return snippet
}

/** The first answer, within two minutes of the start: beside the tests it takes much longer than alone. */
async function ask (url, server) {
  for (let left = 1200; ; left--) {
    try {
      return await fetch(url)
    } catch (error) {
      if (left === 0 || server.exitCode !== null || server.signalCode !== null) throw error
      await new Promise(resolve => setTimeout(resolve, 100))
    }
  }
}

function npm (cwd, ...args) {
  return execFileSync('npm', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
}
