import { script, scriptSha } from './redis-script.ts'

/** What is used of ioredis, ioredis Cluster and iovalkey. */
export interface IoredisLike {
  evalsha (sha: string, numberOfKeys: number, ...keysAndArguments: string[]): Promise<unknown>
  eval (script: string, numberOfKeys: number, ...keysAndArguments: string[]): Promise<unknown>
  readonly isCluster?: boolean
}

/** What is used of node-redis, and of its cluster client (which has `slots`). */
export interface NodeRedisLike {
  evalSha (sha: string, options: { keys: string[], arguments: string[] }): Promise<unknown>
  eval (script: string, options: { keys: string[], arguments: string[] }): Promise<unknown>
  readonly slots?: unknown
}

/** A Redis client of any of the families that are understood. */
export type RedisLike = IoredisLike | NodeRedisLike

/** Runs the script, whatever the client is called. */
export interface Transport {
  /** Whether keys of one call must share a hash tag. */
  readonly cluster: boolean
  run (keys: string[], args: string[]): Promise<unknown>
  /** What the client said last of its connection; undefined since it was ready again. */
  lastError? (): unknown
}

export function isRedisLike (value: unknown): value is RedisLike {
  return hasMethod(value, 'eval') && (hasMethod(value, 'evalsha') || hasMethod(value, 'evalSha'))
}

/** A transport over a client that somebody else made. Its `error` events get a listener, since one without ends the process. */
export function transportOf (client: RedisLike): Transport {
  const lastError = errorsOf(client)
  return { ...(isIoredis(client) ? ioredis(client) : nodeRedis(client)), lastError }
}

function isIoredis (client: RedisLike): client is IoredisLike {
  return hasMethod(client, 'evalsha')
}

function ioredis (client: IoredisLike): Transport {
  return {
    cluster: client.isCluster === true,
    run: (keys, args) => orWithSource(
      () => client.evalsha(scriptSha, keys.length, ...keys, ...args),
      () => client.eval(script, keys.length, ...keys, ...args))
  }
}

function nodeRedis (client: NodeRedisLike): Transport {
  return {
    cluster: Array.isArray(client.slots),
    run: (keys, args) => orWithSource(
      () => client.evalSha(scriptSha, { keys, arguments: args }),
      () => client.eval(script, { keys, arguments: args }))
  }
}

/** A server that was restarted, flushed or promoted does not know the script by its hash. */
async function orWithSource (byHash: () => Promise<unknown>, withSource: () => Promise<unknown>): Promise<unknown> {
  try {
    return await byHash()
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error
    return withSource()
  }
}

function errorsOf (client: object): () => unknown {
  let last: unknown
  if (hasMethod(client, 'on')) {
    client.on('error', (error: unknown) => { last = error })
    client.on('ready', () => { last = undefined })
  }
  return () => last
}

function hasMethod<Name extends string> (value: unknown, name: Name): value is Record<Name, (...args: unknown[]) => unknown> {
  return typeof value === 'object' && value !== null && name in value && typeof Reflect.get(value, name) === 'function'
}
