import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import type { LimitsWorkerOptions, Load, LoadReport } from '../helpers/limits-worker.ts'
import { loader } from '../helpers/loader.ts'
import { reach, startCluster } from '../helpers/redis-cluster.ts'
import { startRedis, type TestRedis } from '../helpers/redis.ts'

const program = fileURLToPath(new URL('../helpers/limits-worker.ts', import.meta.url))
const workers = 4
const limit = 5

async function start (t: Pick<Test, 'teardown'>, options: LimitsWorkerOptions): Promise<ChildProcess> {
  const child = fork(program, [JSON.stringify(options)], { execArgv: [...loader] })
  t.teardown(async () => {
    child.disconnect()
    await once(child, 'exit')
  })
  await Promise.race([once(child, 'message'), once(child, 'exit').then(() => { throw new Error('the process ended') })])
  return child
}

async function startAll (t: Pick<Test, 'teardown'>, options: LimitsWorkerOptions): Promise<ChildProcess[]> {
  // Their wall clocks differ by up to a minute, as those of badly kept machines.
  const skews = [0, 60_000, -60_000, 30_000]
  return await Promise.all(skews.slice(0, workers).map(skew => start(t, { ...options, skew })))
}

interface Totals {
  readonly admitted: ReadonlyMap<string, number>
  readonly sum: number
  readonly statuses: readonly string[]
  readonly states: readonly string[]
  readonly failures: number
}

/** The same load on all processes at once. */
async function drive (processes: readonly ChildProcess[], load: Load): Promise<Totals> {
  const reports = await Promise.all(processes.map(async child => {
    const answer = once(child, 'message')
    child.send(load)
    const [report] = await answer as [LoadReport]
    return report
  }))
  const admitted = new Map<string, number>()
  for (const report of reports) {
    for (const [caller, count] of Object.entries(report.admitted)) {
      admitted.set(caller,
        (admitted.get(caller) ?? 0) + count)
    }
  }
  return {
    admitted,
    sum: [...admitted.values()].reduce((sum, count) => sum + count, 0),
    statuses: [...new Set(reports.flatMap(({ statuses }) => Object.keys(statuses)))].sort(),
    states: reports.map(({ state }) => state),
    failures: reports.reduce((sum, { failures }) => sum + failures, 0)
  }
}

let names = 0
const fresh = (count = 1): string[] => Array.from({ length: count }, () => `caller-${++names}`)

/** Every call is answered by the limiter, although Redis may answer none of them. */
function decided (t: Test, what: string, { statuses }: Totals): void {
  t.ok(statuses.every(status => status === '200' || status === '429'), `${what}: ${statuses.join(', ')}`)
}

const available = ({ states }: Totals) => states.every(state => state === 'available')

/** Redis made every decision between the two: no process had left it, nor left it then. */
const inTime = (before: Totals, after: Totals) => available(before) && after.failures === before.failures

/** Redis decides again in every process, without anybody's doing: then the limit holds for all of them together. */
async function returned (t: Test, processes: readonly ChildProcess[], what: string, callers = 1): Promise<void> {
  for (let i = 0; i < 50; i++) if (available(await drive(processes, { path: '/five', callers: fresh(callers), waves: 2, pause: 50 }))) break
  await exact(t, processes, '/five', limit, what)
}

/** A machine so busy that Redis misses its 50 ms lets processes go on alone, and the round says nothing. */
async function exact (t: Test, processes: readonly ChildProcess[], path: string, expected: number, what: string): Promise<void> {
  let before = await drive(processes, { path, callers: fresh(), waves: 1, pause: 0 })
  for (let round = 1; round <= 30; round++) {
    const after = await drive(processes, { path, callers: fresh(), waves: expected, pause: 10 })
    if (inTime(before, after)) {
      t.equal(after.sum, expected, `${what}: ${workers * expected} calls of all processes`)
      return
    }
    before = after
    await setTimeout(100)
  }
  t.fail(`${what}: Redis was late in every round`)
}

interface Fault {
  readonly name: string
  readonly inject: (redis: TestRedis, admin: Redis) => unknown
  readonly mend: (redis: TestRedis, admin: Redis) => unknown
  /** Whether Redis goes on deciding. */
  readonly harmless?: boolean
}

const faults: readonly Fault[] = [
  { name: 'SCRIPT FLUSH', inject: (_, admin) => admin.script('FLUSH'), mend: () => {}, harmless: true },
  { name: 'SIGSTOP', inject: redis => redis.freeze(), mend: redis => redis.thaw() },
  { name: 'OOM', inject: (_, admin) => admin.config('SET', 'maxmemory', '1'), mend: (_, admin) => admin.config('SET', 'maxmemory', '0') },
  {
    name: 'READONLY',
    inject: (_, admin) => admin.call('REPLICAOF', '127.0.0.1', '1'),
    mend: (_, admin) => admin.call('REPLICAOF', 'NO', 'ONE')
  },
  { name: 'SIGKILL', inject: redis => redis.kill(), mend: redis => redis.restart() }
]

t.test('four processes with clocks a minute apart, one Redis, and all that can happen to it', async t => {
  const redis = await startRedis()
  const admin = new Redis(redis.url, { retryStrategy: () => 100 })
  admin.on('error', () => {})
  t.teardown(async () => {
    admin.disconnect()
    await redis.close()
  })
  const processes = await startAll(t, { redis: redis.url })
  await exact(t, processes, '/hundred', 100, 'sliding-window')
  await exact(t, processes, '/bucket', 100, 'token-bucket')

  for (const { name, inject, mend, harmless = false } of faults) {
    const [known = ''] = fresh()
    const before = await drive(processes, { path: '/five', callers: [known], waves: 2 * limit, pause: 10 })
    await inject(redis, admin)
    const during = await drive(processes, { path: '/five', callers: [known, ...fresh(2)], waves: 40, pause: 25 })
    decided(t, name, during)
    t.equal(during.admitted.get(known) ?? 0, 0, `${name}: a caller at the limit stays there in every process`)
    const most = Math.max(...during.admitted.values())
    t.comment(`${name}: ${[...during.admitted.values()].join(' and ')} of ${workers * 40} calls of fresh callers admitted`)
    // A process that a busy machine keeps from Redis goes on alone, here as in `exact`.
    const together = harmless && inTime(before, during)
    t.ok(most >= limit && most <= limit * (together ? 1 : workers + 1),
      `${name}: ${most} admitted, Redis was late for ${during.failures - before.failures}`)
    await mend(redis, admin)
    await returned(t, processes, name)
  }
})

t.test('four processes on a Redis Cluster of six that loses a primary', async t => {
  const cluster = await startCluster({ replicas: true })
  t.teardown(() => cluster.close())
  const processes = await startAll(t, { cluster: cluster.ports })
  const callers = fresh(6)
  await drive(processes, { path: '/five', callers: fresh(6), waves: 3, pause: 50 })
  await exact(t, processes, '/hundred', 100, 'cluster')

  const [primary, , , replica] = cluster.nodes
  const promoted = cluster.clients[3]
  if (primary === undefined || replica === undefined || promoted === undefined) throw new Error('there are six nodes')
  await primary.kill()
  const during = await drive(processes, { path: '/five', callers, waves: 60, pause: 50 })
  decided(t, 'failover', during)
  const counts = callers.map(caller => during.admitted.get(caller) ?? 0)
  t.comment(`failover: admitted ${counts.join(', ')} of ${workers * 60} calls each`)
  t.ok(counts.every(count => count >= limit && count <= limit * (workers + 1)), 'within the bound')
  await reach(promoted, 'ROLE', /^master/)
  await returned(t, processes, 'failover', 6)
  const load = () => drive(processes, { path: '/five', callers: fresh(6), waves: limit + 2, pause: 50 })
  let [before, after] = [await load(), await load()]
  // As in `exact`.
  for (let round = 0; round < 30 && !inTime(before, after); round++) [before, after] = [after, await load()]
  t.ok(inTime(before, after), 'Redis was in time')
  t.ok([...after.admitted.values()].every(count => count >= limit && count <= limit * 2), `${[...after.admitted.values()].join(', ')}`)
})
