import { asStoreFailure, CircuitBreaker, scriptRunner, type RedisLike, type StoreFailed } from '../redis/index.ts'
import { limitScript } from './redis-script.ts'

const deadline = 1000

/**
 * Asks the store once what every request will ask it, so that a wrong set-up is reported at boot and not by limits that do not hold.
 * Never rejects; undefined when all is well. It counts nothing.
 */
export async function probeRedis (client: RedisLike, keyPrefix: string): Promise<StoreFailed | undefined> {
  const breaker = new CircuitBreaker({ runner: scriptRunner(client), deadline })
  // Two keys of different slots: a node of a cluster refuses them, wherever its own slots are.
  const keys = [`${keyPrefix}{boot-a}`, `${keyPrefix}{boot-b}`].slice(0, breaker.cluster ? 1 : 2)
  try {
    const args = keys.flatMap((_key, index) => [String(index), 'peek', 'fixed-window', '1', '1000000', '0', '1', ''])
    await breaker.run(limitScript, keys, args)
    return undefined
  } catch (error) {
    return asStoreFailure(error)
  }
}
