import { generateKeyPairSync } from 'node:crypto'
import Fastify from 'fastify'
import secureApi, { Secret, type SecureApiOptions } from '../../plugins/index.ts'
import { sampled, type ValueObject } from './value.ts'

/** What the suite says of the configuration when it is really registered, with samples for what the environment gives. */
export async function faultsOf ({ authorization: _routes, ...options }: ValueObject, secure: boolean): Promise<readonly string[]> {
  const app = Fastify(secure ? { trustProxy: '127.0.0.1' } : {})
  try {
    await app.register(secureApi, { ...withKey(sampled(options)), audit: { sink () {} }, environment: 'production' })
    await app.ready()
    return []
  } catch (error) {
    return error instanceof AggregateError
      ? error.errors.map(problem => problem instanceof Error ? problem.message : String(problem))
      : [error instanceof Error ? error.message : String(error)]
  } finally {
    await app.close().catch(() => undefined)
  }
}

function withKey (options: unknown): SecureApiOptions {
  const { auth, ...rest } = options as { auth: { ownTokens?: { privateKey: string } } | false }
  if (auth === false) return { ...rest, auth }
  if (auth.ownTokens === undefined) return { ...rest, auth: { ...auth, startup: 'lazy' } } as SecureApiOptions
  const privateKey = new Secret(generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
  return { ...rest, auth: { ...auth, ownTokens: { ...auth.ownTokens, privateKey } } } as SecureApiOptions
}
