import { Redis } from 'ioredis'
import { reach } from './redis-cluster.ts'
import { startRedis, startSentinel, type TestRedis } from './redis.ts'

/** A primary with a replica, and three sentinels that watch it, on 127.0.0.1. */
export interface TestSentinels {
  readonly name: string
  readonly primary: TestRedis
  readonly replica: TestRedis
  readonly sentinels: ReadonlyArray<{ readonly host: string, readonly port: number }>
  close (): Promise<void>
}

const name = 'limits'

export async function startSentinels (): Promise<TestSentinels> {
  const primary = await startRedis('--repl-diskless-sync-delay', '0')
  const replica = await startRedis('--replicaof', `127.0.0.1 ${primary.port}`)
  const watching = await Promise.all(Array.from({ length: 3 }, () => startSentinel(
    `sentinel monitor ${name} 127.0.0.1 ${primary.port} 2`,
    // A primary that a busy machine stops for a moment is not down.
    `sentinel down-after-milliseconds ${name} 5000`,
    // A promotion that a busy machine does not confirm in time is taken back, and the next vote is after twice this time.
    `sentinel failover-timeout ${name} 6000`
  )))
  const close = async () => { await Promise.all([...watching, primary, replica].map(server => server.close())) }
  try {
    await reaches(replica, 'INFO replication', /master_link_status:up/)
    for (const sentinel of watching) await reaches(sentinel, 'INFO sentinel', /status=ok,[^\n]*slaves=1,sentinels=3/)
  } catch (error) {
    await close()
    throw error
  }
  return { name, primary, replica, sentinels: watching.map(({ port }) => ({ host: '127.0.0.1', port })), close }
}

/** Asks a server until its answer reads like this. */
export async function reaches ({ url }: Pick<TestRedis, 'url'>, command: string, expected: RegExp): Promise<void> {
  const client = new Redis(url, { enableReadyCheck: false })
  client.on('error', () => {})
  try {
    await reach(client, command, expected)
  } finally {
    client.disconnect()
  }
}
