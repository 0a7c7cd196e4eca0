import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'

// Starts the application in development on a free port, calls it as clients would, and ends it.
process.loadEnvFile('.env.development')
const { resolve } = createRequire(import.meta.url)
const port = await freePort()
const url = `http://127.0.0.1:${port}`
const start = [resolve('fastify-cli/cli.js'), 'start', '-o', '-l', 'error', '-a', '127.0.0.1', '-p', String(port), '{{sources}}/app.js']
const server = spawn(process.execPath, start, { stdio: ['ignore', 'ignore', 'inherit'] })
const exit = once(server, 'exit')

try {
  await listening()
  const reader = bearer('api.read')
  const writer = bearer('api.write')
  const order = {
    method: 'POST',
    headers: { ...writer, 'content-type': 'application/json' },
    body: JSON.stringify({ item: 'tea', quantity: 2 })
  }
  await show('GET  /health', '/health', {}, 200)
  await show('GET  /orders', '/orders', {}, 401)
  await show('GET  /orders   token for api.write', '/orders', { headers: writer }, 403)
  await show('GET  /orders   token for api.read', '/orders', { headers: reader }, 200)
  for (let count = 1; count < 10; count++) await fetch(`${url}/orders`, order)
  await show('POST /orders   token for api.write, the tenth', '/orders', order, 201)
  await show('POST /orders   token for api.write, the eleventh', '/orders', order, 429)
  await show('GET  /nowhere', '/nowhere', {}, 404)
} finally {
  server.kill()
  await exit
}

/** Prints a call with what came back, and fails where that is not what it should be. */
async function show (title, path, options, expected) {
  const response = await fetch(url + path, options)
  const body = await response.text()
  console.log(`${title.padEnd(50)} ${response.status}  ${body.length > 60 ? JSON.parse(body).code ?? '' : body}`)
  if (response.status === expected && response.headers.get('x-content-type-options') === 'nosniff') return
  console.error(`expected ${expected} with security headers`)
  process.exitCode = 1
}

/** The header of a caller, with a token as `{{run}} token` prints it. */
function bearer (scope) {
  const command = join(dirname(resolve('fastify-secure-api/package.json')), 'dist/cli/main.js')
  const options = { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }
  const token = execFileSync(process.execPath, [command, 'token', scope], options).trim()
  return { authorization: `Bearer ${token}` }
}

/** Waits for the first answer, a minute at most. */
async function listening () {
  for (let left = 600; ; left--) {
    try {
      return await fetch(`${url}/health`)
    } catch (error) {
      if (left === 0 || server.exitCode !== null) throw error
      await new Promise(resolve => setTimeout(resolve, 100))
    }
  }
}

async function freePort () {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address()
  probe.close()
  await once(probe, 'close')
  return port
}
