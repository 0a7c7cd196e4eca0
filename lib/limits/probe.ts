import { withDeadline } from '../async/index.ts'
import { transportOf, type RedisLike, type Transport } from './redis-transport.ts'
import { asStoreFailure, StoreFailed } from './store-failure.ts'

const deadline = 1000

/**
 * Asks the store once what every request will ask it, so that a wrong set-up is told at boot and not by limits that do not hold.
 * Never rejects; undefined when all is well. It counts nothing.
 */
export async function probeRedis (client: RedisLike, keyPrefix: string): Promise<StoreFailed | undefined> {
  const transport = transportOf(client)
  try {
    await withDeadline(ask(transport, keyPrefix), { ms: deadline, late: () => new StoreFailed('timeout') })
    return undefined
  } catch (error) {
    const failure = asStoreFailure(error)
    const cause = failure.reason === 'connection' ? transport.lastError?.() : undefined
    return cause === undefined ? failure : asStoreFailure(cause)
  }
}

/** Two keys of different slots: a node of a cluster refuses them, wherever its own slots are. */
async function ask (transport: Transport, prefix: string): Promise<void> {
  const keys = [`${prefix}{boot-a}`, `${prefix}{boot-b}`].slice(0, transport.cluster ? 1 : 2)
  await transport.run(keys, keys.flatMap((_key, index) => [String(index), 'peek', 'fixed-window', '1', '1000000', '0', '1', '']))
}
