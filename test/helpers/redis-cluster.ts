import { setTimeout } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { freePort } from './free-port.ts'
import { startRedis, type TestRedis } from './redis.ts'

/** A Redis Cluster of processes on 127.0.0.1: primaries first, then as many replicas. */
export interface TestCluster {
  readonly nodes: readonly TestRedis[]
  /** A connection to each node. */
  readonly clients: readonly Redis[]
  readonly ports: readonly number[]
  close (): Promise<void>
}

const primaries = 3
const slots = 16_384

/** Three primaries that share the slots, with a replica each or none, joined by the commands that `redis-cli --cluster create` sends. */
export async function startCluster ({ replicas = false } = {}): Promise<TestCluster> {
  const nodes = await Promise.all(Array.from({ length: replicas ? 2 * primaries : primaries }, () => startNode(replicas ? 1500 : 15_000)))
  const clients = nodes.map(({ url }) => new Redis(url, { retryStrategy: () => 100 }))
  for (const client of clients) client.on('error', () => {})
  const close = async () => {
    for (const client of clients) client.disconnect()
    await Promise.all(nodes.map(node => node.close()))
  }
  try {
    await join(nodes, clients)
    for (const [index, replica] of clients.slice(primaries).entries()) await follow(replica, clients[index])
    for (const client of clients) await reach(client, 'INFO replication', /role:master|master_link_status:up/)
  } catch (error) {
    // Nobody else could, and what goes on keeps the process of the test.
    await close()
    throw error
  }
  return { nodes, clients, ports: nodes.map(({ port }) => port), close }
}

/** Only where replicas take over has a node to be missed soon: elsewhere the others would refuse calls when a busy machine stops one. */
async function startNode (timeout: number): Promise<TestRedis> {
  return await startRedis('--cluster-enabled', 'yes', '--cluster-port', String(await freePort()), '--cluster-node-timeout', String(timeout),
    '--repl-diskless-sync-delay', '0')
}

async function join (nodes: readonly TestRedis[], clients: readonly Redis[]): Promise<void> {
  const share = Math.ceil(slots / primaries)
  for (const [index, client] of clients.entries()) {
    const owned = Array.from({ length: index < primaries ? Math.min(share, slots - index * share) : 0 }, (_, slot) => index * share + slot)
    if (owned.length > 0) await client.cluster('ADDSLOTS', ...owned)
    await client.call('CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1))
    await clients[0]?.call('CLUSTER', 'MEET', '127.0.0.1', String(nodes[index]?.port), await busPort(client))
  }
  for (const client of clients) await reach(client, 'CLUSTER INFO', new RegExp(`cluster_state:ok[^]*cluster_known_nodes:${nodes.length}`))
}

async function follow (replica: Redis, primary: Redis | undefined): Promise<void> {
  const id = String(await primary?.call('CLUSTER', 'MYID'))
  await replica.call('CLUSTER', 'REPLICATE', id)
}

/** Asks a node until its answer reads like this. */
export async function reach (client: Redis, command: string, expected: RegExp): Promise<void> {
  const [name = '', ...args] = command.split(' ')
  const end = Date.now() + 300_000 // a sentinel that was stopped for two seconds does nothing for thirty
  while (!expected.test(String(await client.call(name, ...args)))) {
    if (Date.now() > end) throw new Error(`${command} never matched ${expected}`)
    await setTimeout(50)
  }
}

async function busPort (client: Redis): Promise<string> {
  const settings: unknown = await client.config('GET', 'cluster-port')
  return String(Array.isArray(settings) ? settings[1] : Object.values(settings as object)[0])
}
