import { Agent, get } from 'node:http'
import { setTimeout } from 'node:timers/promises'
import Fastify from 'fastify'
import { Cluster } from 'ioredis'
import { rateLimit } from '../../plugins/index.ts'

/**
 * A process of its own with the rate limiter on a shared store, which asks itself over HTTP. `fork` it with the options as its argument.
 */
export interface LimitsWorkerOptions {
  readonly redis?: string
  /** Ports of a Redis Cluster on 127.0.0.1. */
  readonly cluster?: readonly number[]
  /** How far this process' wall clock is ahead, in milliseconds. */
  readonly skew?: number
}

/** `waves` times, each `pause` ms, one request of every caller. */
export interface Load {
  readonly path: string
  readonly callers: readonly string[]
  readonly waves: number
  readonly pause: number
}

/** What came of a load. */
export interface LoadReport {
  /** Admitted requests of each caller. */
  readonly admitted: Readonly<Record<string, number>>
  readonly statuses: Readonly<Record<string, number>>
  readonly state: string
  /** How often the store was too late or failed, so far. */
  readonly failures: number
}

const { redis, cluster, skew = 0 }: LimitsWorkerOptions = JSON.parse(process.argv[2] ?? '{}')
const wallClock = Date.now
Date.now = () => wallClock() + skew

const client = cluster === undefined
  ? undefined
  : new Cluster(cluster.map(port => ({ host: '127.0.0.1', port })),
    { redisOptions: { connectTimeout: 500 } })
const store = client ?? redis
const app = Fastify()
const by = ({ headers }: { readonly headers: Readonly<Record<string, unknown>> }) => String(headers['x-caller'])
await app.register(rateLimit, {
  ...(store === undefined ? undefined : { redis: store }),
  perAddress: false,
  // So long that a bucket gets nothing back within a round, however slow the machine is: one call in 14 minutes.
  policies: {
    five: { limit: 5, window: '24 hours', by },
    hundred: { limit: 100, window: '24 hours', by },
    bucket: { limit: 100, window: '24 hours', algorithm: 'token-bucket', by }
  }
})

for (const name of ['five', 'hundred', 'bucket']) app.get(`/${name}`, { config: { rateLimit: name } }, async () => '')
await app.ready()
const url = await app.listen({ port: 0, host: '127.0.0.1' })

const agent = new Agent({ keepAlive: true, maxSockets: 64 })

function ask (path: string, caller: string): Promise<number> {
  return new Promise((resolve, reject) => {
    get(url + path, { agent, headers: { 'x-caller': caller } }, response => {
      response.resume()
      response.once('end', () => resolve(response.statusCode ?? 0))
    }).once('error', reject)
  })
}

async function run ({ path, callers, waves, pause }: Load): Promise<LoadReport> {
  const answers: Promise<{ caller: string, status: number }>[] = []
  for (let wave = 0; wave < waves; wave++) {
    for (const caller of callers) answers.push(ask(path, caller).then(status => ({ caller, status })))
    if (pause > 0) await setTimeout(pause)
  }
  const all = await Promise.all(answers)
  const admitted: Record<string, number> = {}
  const statuses: Record<string, number> = {}
  for (const { caller, status } of all) {
    statuses[status] = (statuses[status] ?? 0) + 1
    if (status === 200) admitted[caller] = (admitted[caller] ?? 0) + 1
  }
  return { admitted, statuses, ...storeState() }
}

function storeState (): Pick<LoadReport, 'state' | 'failures'> {
  const { state, failures } = app.rateLimits.status()
  return { state, failures }
}

process.on('message', (load: Load) => {
  run(load).then(result => process.send?.(result), (error: unknown) => process.send?.({ failed: String(error) }))
})
process.once('disconnect', () => {
  agent.destroy()
  client?.disconnect()
  app.close()
})
process.send?.('ready')
