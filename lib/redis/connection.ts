import { ConfigurationError } from '../config/index.ts'
import type { IoredisLike } from './client.ts'
import { asStoreFailure, type StoreFailed } from './failure.ts'

/** A connection of ours, which we alone close. */
export interface RedisConnection {
  readonly client: IoredisLike
  /** Fulfilled once it is known whether Redis answers, after a second at the latest. Never rejects: without Redis the server starts too. */
  readonly ready: Promise<boolean>
  /** Why there is no connection, where that is known. */
  failure (): StoreFailed | undefined
  close (): void
}

const connectTimeout = 500
const silentFor = 5_000
const longestWaitAtStart = 1_000
const longestRetryDelay = 1_000

/**
 * Connects to a Redis URL with settings under which no call waits in a queue: whoever asks has an own answer to a server that is away.
 * Throws a {@link ConfigurationError} that names the option `path` when the optional package ioredis is not installed.
 */
export async function connectRedis (url: string, path: string): Promise<RedisConnection> {
  const { Redis } = await loadClient(path)
  const client = new Redis(url, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    connectTimeout,
    // A connection that died silently is noticed: Redis owes an answer for this long.
    socketTimeout: silentFor,
    autoResendUnfulfilledCommands: false,
    retryStrategy: attempt => Math.min(attempt * 100, longestRetryDelay),
    // A primary that has become a replica stays connected; only a new connection finds the new primary.
    reconnectOnError: error => error.message.startsWith('READONLY')
  })
  let cause: unknown
  client.on('error', error => { cause = error })
  client.on('ready', () => { cause = undefined })
  return {
    client,
    failure: () => cause === undefined ? undefined : asStoreFailure(cause),
    ready: new Promise(resolve => {
      const timer = setTimeout(resolve, longestWaitAtStart, false)
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
      fix: 'Run `npm install ioredis`, or give an instance of another client.'
    }])
  }
}
