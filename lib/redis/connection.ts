import { scheduleTimer, type Schedule } from '../async/index.ts'
import { ConfigurationError } from '../config/index.ts'
import { lastErrorOf, type IoredisLike } from './client.ts'
import { asStoreFailure, type StoreFailed } from './failure.ts'

/** Our own connection, which we close. */
export interface RedisConnection {
  /** The same for as long as the connection is open, wherever that leads. */
  readonly client: IoredisLike
  /** Whether Redis answers; resolves within a second. Never rejects: the server starts without Redis too. */
  readonly ready: Promise<boolean>
  /** Why there is no connection, if known. */
  failure (): StoreFailed | undefined
  /**
   * Moves to the first of these addresses as soon as it answers. Until then, and for as long as it is not the only one, the connection
   * stays where it is: a Redis may learn of a new password later than its clients.
   */
  use (urls: readonly string[]): void
  close (): void
}

interface ConnectionOptions {
  readonly schedule?: Schedule | undefined
  /** Called once for each address that does not answer, while another one is in use. */
  readonly onRefused?: (failure: StoreFailed | undefined) => void
}

/**
 * Connects to a Redis URL without any queueing, because callers handle an unavailable server themselves. Throws a
 * {@link ConfigurationError} for the option `path` if the optional package ioredis is not installed.
 */
export async function connectRedis (url: string, path: string, options: ConnectionOptions = {}): Promise<RedisConnection> {
  const { Redis } = await loadClient(path)
  return new MovingConnection(url, address => open(Redis, address), options)
}

/** In milliseconds: how long calls that are under way keep the connection that they were sent on. */
const GRACE = 1000
const RETRY = 5000

type Listener = (...facts: unknown[]) => void

class MovingConnection implements RedisConnection {
  readonly client: IoredisLike & { on (event: string, listener: Listener): void, nodes (): object[] }
  readonly ready: Promise<boolean>
  readonly #open: (url: string) => Opened
  readonly #schedule: Schedule
  readonly #onRefused: NonNullable<ConnectionOptions['onRefused']>
  readonly #listeners: Array<readonly [event: string, listener: Listener]> = []
  #current: Opened
  #wanted: string
  #closed = false
  #cancel = () => {}

  constructor (url: string, open: (url: string) => Opened, { schedule = scheduleTimer, onRefused = () => {} }: ConnectionOptions) {
    this.#open = open
    this.#schedule = schedule
    this.#onRefused = onRefused
    this.#current = open(url)
    this.#wanted = url
    this.ready = this.#current.ready
    this.client = {
      isCluster: false,
      eval: (...call) => this.#current.client.eval(...call),
      evalsha: (...call) => this.#current.client.evalsha(...call),
      on: (event, listener) => {
        this.#listeners.push([event, listener])
        this.#listen(this.#current, event, listener)
      },
      nodes: () => [this.#current.client]
    }
  }

  failure (): StoreFailed | undefined {
    return this.#current.failure()
  }

  use ([url, ...others]: readonly string[]): void {
    this.#cancel()
    if (url === undefined || this.#closed) return
    this.#wanted = url
    if (url === this.#current.url) return
    if (others.length === 0) this.#move(this.#open(url))
    else this.#try(url, true)
  }

  close (): void {
    this.#closed = true
    this.#cancel()
    this.#current.client.disconnect()
  }

  /** Until the connection has moved on: the end of the one before is none. */
  #listen (opened: Opened, event: string, listener: Listener): void {
    opened.client.on(event, (...facts) => { if (opened === this.#current) listener(...facts) })
  }

  async #try (url: string, isFirst: boolean): Promise<void> {
    const next = this.#open(url)
    const isReady = await next.ready
    if (this.#closed || this.#wanted !== url || this.#current.url === url) return next.client.disconnect()
    if (isReady) return this.#move(next)
    if (isFirst) this.#onRefused(next.failure())
    next.client.disconnect()
    this.#cancel = this.#schedule(() => this.#try(url, false), RETRY)
  }

  #move (next: Opened): void {
    const before = this.#current
    this.#current = next
    for (const [event, listener] of this.#listeners) {
      this.#listen(next, event, listener)
      // It has been ready before anybody listened.
      if (event === 'ready' && next.client.status === 'ready') listener()
    }
    this.#schedule(() => { before.client.disconnect() }, GRACE)
  }
}

interface Opened {
  readonly url: string
  readonly client: IoredisLike & { readonly status: string, on (event: string, listener: Listener): unknown, disconnect (): void }
  readonly ready: Promise<boolean>
  failure (): StoreFailed | undefined
}

type Constructor = Awaited<ReturnType<typeof loadClient>>['Redis']

function open (Redis: Constructor, url: string): Opened {
  const client = new Redis(url, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    connectTimeout: 500,
    disconnectTimeout: 200, // its timer runs after the end of a connection that was never made, and holds the process
    socketTimeout: 5_000, // an answer that is overdue for so long means a dead connection
    autoResendUnfulfilledCommands: false,
    retryStrategy: attempt => Math.min(attempt * 100, 1_000),
    // A primary that becomes a replica stays connected; a new connection finds the new primary.
    reconnectOnError: error => error.message.startsWith('READONLY')
  })
  const cause = lastErrorOf(client)
  return {
    url,
    client,
    failure: () => cause() === undefined ? undefined : asStoreFailure(cause()),
    ready: new Promise(resolve => {
      const timer = setTimeout(resolve, 1_000, false)
      client.once('ready', () => { clearTimeout(timer); resolve(true) })
      client.once('end', () => { clearTimeout(timer); resolve(false) })
    })
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
