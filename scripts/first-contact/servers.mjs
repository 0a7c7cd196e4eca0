import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { freePort } from '../free-port.mjs'

/** How long a server may take to end. It ends in a second or two, and here it shares the machine with all tests. */
const patience = 120_000

/** `npm run dev` answers as it should, starts again when a file changes, and ends with all its processes. */
export async function tryDevelopment (app, language) {
  const port = await freePort()
  const server = start(app, [...argumentsOf(app, 'dev'), '-a', '127.0.0.1', '-p', String(port)], {})
  const url = `http://127.0.0.1:${port}`
  try {
    await listening(url, server)
    await askEverything(app, url)
    appendFileSync(join(app, `src/settings.${language}`), "process.stdout.write('started again\\n')\n")
    await says(server, 'started again')
    await listening(url, server)
  } finally {
    await stop(server)
  }
  await gone(url)
}

async function askEverything (app, url) {
  const bearer = scope => ({ authorization: `Bearer ${tokenFor(app, scope)}` })
  const reader = { headers: bearer('api.read') }
  const writer = {
    method: 'POST',
    headers: { ...bearer('api.write'), 'content-type': 'application/json' },
    body: '{"item":"tea","quantity":1}'
  }
  await expect(`${url}/orders`, {}, 401)
  await expect(`${url}/orders`, { headers: bearer('api.write') }, 403)
  await expect(`${url}/orders`, reader, 200)
  for (let count = 0; count < 10; count++) await expect(`${url}/orders`, writer, 201)
  await expect(`${url}/orders`, writer, 429)
  await expect(`${url}/nowhere`, {}, 404)
  await expect(`${url}/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"user":"nobody","password":"wrong"}'
  }, 401)
}

function newKey (app) {
  return made(app, 'key', '--scope', 'api.read')
}

function tokenFor (app, scope) {
  return made(app, 'token', scope)
}

function made (app, script, ...args) {
  const options = { cwd: app, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }
  return execFileSync('npm', ['run', '--silent', script, '--', ...args], options).trim()
}

/** Without settings `npm start` ends and says what is missing; with them it answers, and knows no token of development. */
export async function tryProduction (app, options) {
  const keys = options.includes('api-key')
  const refusal = keys ? 'SECURE_API_API_KEYS_FILE' : 'SECURE_API_ISSUER'
  await refuses(app, {}, keys ? 'not set: TRUST_PROXY' : 'not set: SECURE_API_ISSUER, TRUST_PROXY')
  await refuses(app, { TRUST_PROXY: '127.0.0.1', API_KEYS_FILE: 'none.json' }, refusal)
  const key = keys && newKey(app)
  const port = await freePort()
  const settings = {
    TRUST_PROXY: '127.0.0.1',
    ...(!keys && { SECURE_API_ISSUER: 'https://login.example.com' }),
    FASTIFY_ADDRESS: '127.0.0.1',
    PORT: String(port)
  }
  const server = start(app, fastify(app), settings)
  try {
    const url = `http://127.0.0.1:${port}`
    await listening(url, server)
    const response = await expect(`${url}/health`, { headers: { 'x-forwarded-proto': 'https' } }, 200)
    if (!response.headers.has('strict-transport-security')) throw new Error('no HSTS in production')
    await expect(`${url}/orders`, {}, 401)
    await expect(`${url}/login`, { method: 'POST' }, 404)
    if (keys) await expect(`${url}/orders`, { headers: { 'x-forwarded-proto': 'https', 'x-api-key': key } }, 200)
  } finally {
    await stop(server)
  }
}

async function refuses (app, settings, told) {
  const server = start(app, fastify(app), settings)
  const timer = setTimeout(() => server.kill('SIGKILL'), patience)
  const [code] = await once(server, 'close')
  clearTimeout(timer)
  if (code === 1 && server.said.includes(told)) return
  throw new Error(`npm start should have ended with 1 and named ${told}; it ended with ${code} and said ${server.said}`)
}

/** The application's script `start`, without npm between: signals shall reach the server. */
function fastify (app) {
  return ['node_modules/fastify-cli/cli.js', ...argumentsOf(app, 'start')]
}

function argumentsOf (app, script) {
  const { scripts } = JSON.parse(readFileSync(join(app, 'package.json'), 'utf8'))
  return scripts[script].split(' ').slice(1)
}

function start (app, args, settings) {
  const { NODE_ENV: _, ...env } = process.env
  const server = spawn(process.execPath, args, { cwd: app, env: { ...env, ...settings }, stdio: ['ignore', 'pipe', 'pipe'] })
  server.said = ''
  for (const stream of [server.stdout, server.stderr]) stream.on('data', text => { server.said += text })
  return server
}

async function stop (server) {
  if (server.exitCode !== null || server.signalCode !== null) return
  const closed = once(server, 'close')
  server.kill()
  const timer = setTimeout(() => server.kill('SIGKILL'), patience)
  await closed
  clearTimeout(timer)
}

async function expect (url, options, status) {
  const response = await fetch(url, options)
  await response.arrayBuffer()
  if (response.status !== status) throw new Error(`${options.method ?? 'GET'} ${url}: ${response.status}, not ${status}`)
  for (const name of ['x-content-type-options', 'content-security-policy']) {
    if (!response.headers.has(name)) throw new Error(`${url}: no ${name} on ${status}`)
  }
  return response
}

async function listening (url, server) {
  await until(async () => {
    if (server.exitCode !== null) throw new Error(`the server ended:\n${server.said}`)
    return await fetch(`${url}/health`).then(() => true, () => false)
  }, () => `no answer from ${url}:\n${server.said}`)
}

async function says (server, text) {
  await until(() => server.said.includes(text), () => `it never said ${text}:\n${server.said}`)
}

async function gone (url) {
  await until(async () => await fetch(url).then(() => false, () => true), () => `${url} still answers`)
}

async function until (holds, complaint) {
  const end = Date.now() + patience
  while (Date.now() < end) {
    if (await holds()) return
    await wait(100)
  }
  throw new Error(complaint())
}
