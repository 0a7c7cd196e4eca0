import { ConfigurationError } from '../config/index.ts'
import { lastErrorOf, type IoredisLike } from './client.ts'
import { asStoreFailure, type StoreFailed } from './failure.ts'

/** Our own connection, which we close. */
export interface RedisConnection {
  readonly client: IoredisLike
  /** Whether Redis answers; resolves within a second. Never rejects: the server starts without Redis too. */
  readonly ready: Promise<boolean>
  /** Why there is no connection, if known. */
  failure (): StoreFailed | undefined
  close (): void
}

/**
 * Connects to a Redis URL without any queueing, because callers handle an unavailable server themselves. Throws a
 * {@link ConfigurationError} for the option `path` if the optional package ioredis is not installed.
 */
export async function connectRedis (url: string, path: string): Promise<RedisConnection> {
  const { Redis } = await loadClient(path)
  const client = new Redis(url, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    connectTimeout: 500,
    socketTimeout: 5_000, // an answer that is overdue for so long means a dead connection
    autoResendUnfulfilledCommands: false,
    retryStrategy: attempt => Math.min(attempt * 100, 1_000),
    // A primary that becomes a replica stays connected; a new connection finds the new primary.
    reconnectOnError: error => error.message.startsWith('READONLY')
  })
  const cause = lastErrorOf(client)
  return {
    client,
    failure: () => cause() === undefined ? undefined : asStoreFailure(cause()),
    ready: new Promise(resolve => {
      const timer = setTimeout(resolve, 1_000, false)
      client.once('ready', () => { clearTimeout(timer); resolve(true) })
      client.once('end', () => { clearTimeout(timer); resolve(false) })
    }),
    close: () => client.disconnect()
  }
}

async function loadClient (path: string) {
  try {
    return await import('ioredis')
  } catch {
    throw new ConfigurationError([{
      code: 'SECURE_API_REDIS_CLIENT_MISSING',
      path,
      why: 'a URL needs the package ioredis, which is not installed',
      fix: 'Run `npm install ioredis`, or pass an instance of another client.'
    }])
  }
}
