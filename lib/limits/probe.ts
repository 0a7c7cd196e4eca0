import { asStoreFailure, CircuitBreaker, scriptRunner, type RedisLike, type StoreFailed } from '../redis/index.ts'
import { limitScript } from './redis-script.ts'

const deadline = 1000

/**
 * Runs the script once at boot, so that a wrong setup is reported before limits fail. Counts nothing and never rejects; undefined
 * if all is well.
 */
export async function probeRedis (client: RedisLike, keyPrefix: string): Promise<StoreFailed | undefined> {
  const breaker = new CircuitBreaker({ runner: scriptRunner(client), deadline })
  // Two keys in different slots: every node of a cluster refuses them.
  const keys = [`${keyPrefix}{boot-a}`, `${keyPrefix}{boot-b}`].slice(0, breaker.cluster ? 1 : 2)
  try {
    const args = keys.flatMap((_key, index) => [String(index), 'peek', 'fixed-window', '1', '1000000', '0', '1', ''])
    await breaker.run(limitScript, keys, args)
    return undefined
  } catch (error) {
    return asStoreFailure(error)
  }
}
