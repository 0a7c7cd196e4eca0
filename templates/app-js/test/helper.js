import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Fastify from 'fastify'
import fp from 'fastify-plugin'
import { createTestIssuer } from 'fastify-secure-api/testing'

/**
 * The application as `fastify start -o` starts it, with a real issuer on loopback. It reads the environment once:
 * each test file is a process of its own, and starts one.
 */
export async function start () {
  const folder = mkdtempSync(join(tmpdir(), 'accounts-'))
  const issuer = await createTestIssuer()
  const close = async () => {
    await issuer.close()
    rmSync(folder, { recursive: true })
  }
  try {
    Object.assign(process.env, issuer.env, loginSettings(folder))
    const log = []
    const app = await boot(log)
    app.addHook('onClose', close)
    return { app, issuer, log }
  } catch (error) {
    await close()
    throw error
  }
}

async function boot (log) {
  const { default: plugin, options } = await import('../src/app.js')
  const app = Fastify({ ...options, logger: { stream: { write (line) { log.push(line) } } } })
  await app.register(fp(plugin), options)
  return app
}

function loginSettings (folder) {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return {
    ACCOUNTS_FILE: join(folder, 'accounts.json'),
    LOGIN_KEY: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    PUBLIC_URL: 'http://localhost:3000'
  }
}
