import { hash } from 'node:crypto'
import { asStoreFailure, StoreFailed, type StoreFailureReason } from './failure.ts'

/** A Lua script and its hash. */
export interface Script {
  readonly source: string
  readonly sha: string
}

/** Make it once: this computes the hash. */
export function script (source: string): Script {
  return Object.freeze({ source, sha: hash('sha1', source) })
}

/** Runs scripts on one Redis. */
export interface ScriptRunner {
  /** Whether the keys of one call must share a hash tag. */
  readonly cluster: boolean
  run (script: Script, keys: readonly string[], args: readonly string[]): Promise<unknown>
  /** The last error of the client's connection; undefined once it is ready again. */
  lastError? (): unknown
}

/** A client of the application that only has `eval`, as in ioredis. */
export interface EvalClient {
  eval (script: string, numberOfKeys: number, ...keysAndArguments: string[]): Promise<unknown>
  readonly isCluster?: boolean
  /** Only node-redis has it; lets TypeScript tell them apart. */
  readonly evalSha?: undefined
}

/** The used part of ioredis, ioredis Cluster and iovalkey. */
export interface IoredisLike extends EvalClient {
  evalsha (sha: string, numberOfKeys: number, ...keysAndArguments: string[]): Promise<unknown>
}

/** The used part of node-redis, and of its cluster client, which has `slots`. */
interface NodeRedisLike {
  evalSha: NodeRedisLike['eval']
  eval (script: string, options: { keys: string[], arguments: string[] }): Promise<unknown>
  readonly slots?: unknown
}

/** A Redis client of one of the supported families. */
export type RedisLike = IoredisLike | NodeRedisLike

export function isRedisLike (value: unknown): value is RedisLike {
  return hasMethod(value, 'eval') && (hasMethod(value, 'evalsha') || hasMethod(value, 'evalSha'))
}

/** Runs scripts over a client of the application. Adds a listener for `error`, which would otherwise end the process. */
export function scriptRunner (client: RedisLike | EvalClient): ScriptRunner {
  return { ...(client.evalSha === undefined ? ioredis(client) : nodeRedis(client)), lastError: lastErrorOf(client) }
}

function ioredis (client: IoredisLike | EvalClient): ScriptRunner {
  return {
    cluster: client.isCluster === true,
    run ({ source, sha }, keys, args) {
      const withSource = () => client.eval(source, keys.length, ...keys, ...args)
      return 'evalsha' in client ? orWithSource(() => client.evalsha(sha, keys.length, ...keys, ...args), withSource) : withSource()
    }
  }
}

function nodeRedis (client: NodeRedisLike): ScriptRunner {
  return {
    cluster: Array.isArray(client.slots),
    run ({ source, sha }, keys, args) {
      const call = { keys: [...keys], arguments: [...args] }
      return orWithSource(() => client.evalSha(sha, call), () => client.eval(source, call))
    }
  }
}

/** A server does not know the script after a restart, a flush or a failover. */
async function orWithSource (byHash: () => Promise<unknown>, withSource: () => Promise<unknown>): Promise<unknown> {
  try {
    return await byHash()
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error
    return withSource()
  }
}

/** Undefined while the connection is ready. A client that gives up is told apart: only a restart, or its owner, brings it back. */
export function lastErrorOf (client: object): () => unknown {
  let [last, hasEnded]: [last: unknown, hasEnded: boolean] = [undefined, false]
  if (hasMethod(client, 'on')) {
    client.on('error', (error: unknown) => { last = error })
    client.on('ready', () => { [last, hasEnded] = [undefined, false] })
    client.on('end', () => { hasEnded = true })
  }
  // node-redis tells of no end when its strategy gives up.
  return () => hasEnded || ('isOpen' in client && client.isOpen === false) ? ended(last) : last
}

/** What is to be mended first stays the reason. */
function ended (last: unknown): StoreFailed {
  const failure = last === undefined ? undefined : asStoreFailure(last)
  return failure !== undefined && causes.has(failure.reason) ? failure : new StoreFailed('ended', failure?.code)
}

const causes: ReadonlySet<StoreFailureReason> = new Set<StoreFailureReason>(['authentication', 'permission', 'tls'])

function hasMethod<Name extends string> (value: unknown, name: Name): value is Record<Name, (...args: unknown[]) => unknown> {
  return typeof value === 'object' && value !== null && name in value && typeof Reflect.get(value, name) === 'function'
}
