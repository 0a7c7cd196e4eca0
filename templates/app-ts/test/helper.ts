import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Fastify, { type FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { createTestIssuer, type TestIssuer } from 'fastify-secure-api/testing'

export interface Started {
  app: FastifyInstance
  issuer: TestIssuer
  /** Lines of the log, the audit trail among them. */
  log: string[]
}

/**
 * The application as `fastify start -o` starts it, with a real issuer on loopback. It reads the environment once:
 * each test file is a process of its own, and starts one.
 */
export async function start (): Promise<Started> {
  const folder = mkdtempSync(join(tmpdir(), 'accounts-'))
  const issuer = await createTestIssuer()
  const close = async () => {
    await issuer.close()
    rmSync(folder, { recursive: true })
  }
  try {
    Object.assign(process.env, issuer.env, loginSettings(folder))
    process.env['API_KEYS_FILE'] = join(folder, 'keys.json') // if apiKeys
    const log: string[] = []
    const app = await boot(log)
    app.addHook('onClose', close)
    return { app, issuer, log }
  } catch (error) {
    await close()
    throw error
  }
}

async function boot (log: string[]): Promise<FastifyInstance> {
  const { default: plugin, options } = await import('../src/app.ts')
  const app = Fastify({ ...options, logger: { stream: { write (line: string) { log.push(line) } } } })
  await app.register(fp(plugin), options)
  return app
}

function loginSettings (folder: string) {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return {
    ACCOUNTS_FILE: join(folder, 'accounts.json'),
    LOGIN_KEY: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    PUBLIC_URL: 'http://localhost:3000'
  }
}
