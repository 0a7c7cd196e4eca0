import { fork } from 'node:child_process'
import { once } from 'node:events'
import { Agent, get } from 'node:http'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { loader } from '../helpers/loader.ts'
import { startRedis } from '../helpers/redis.ts'
import { bearer, startIssuer } from '../helpers/server.ts'
import type { LimitedProcessOptions } from '../helpers/limited-process.ts'

const program = fileURLToPath(new URL('../helpers/limited-process.ts', import.meta.url))

async function start (t: Pick<Test, 'teardown'>, options: LimitedProcessOptions): Promise<string> {
  const child = fork(program, [JSON.stringify(options)], { execArgv: [...loader] })
  t.teardown(async () => {
    child.disconnect()
    await once(child, 'exit')
  })
  const [url] = await Promise.race([once(child, 'message'), once(child, 'exit').then(() => { throw new Error('the process ended') })])
  return String(url)
}

const agent = new Agent({ keepAlive: true, maxSockets: 50 })
t.teardown(() => agent.destroy())

async function statusOf (url: string, headers: Record<string, string>): Promise<number | undefined> {
  const [response] = await once(get(url, { headers, agent }), 'response')
  response.resume()
  await once(response, 'end')
  return response.statusCode
}

const calls = 300
const rounds = 30

interface Report { readonly rateLimit: { readonly state: string, readonly failures: number } }

/** How often Redis was too late for a call, on all servers, and whether one of them does without it for a while. */
async function storeOf (servers: readonly string[]): Promise<{ readonly isLeft: boolean, readonly failures: number }> {
  const reports = await Promise.all(servers.map(async server => (await fetch(`${server}/status`)).json() as Promise<Report>))
  return {
    isLeft: reports.some(({ rateLimit }) => rateLimit.state !== 'available'),
    failures: reports.reduce((sum, { rateLimit }) => sum + rateLimit.failures, 0)
  }
}

t.test('two processes on one Redis: of 300 simultaneous calls under a limit of 100 exactly 100 pass', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.close())
  const issuer = await startIssuer(t)
  const options = { issuer: issuer.issuer, audience: 'api://test', redis: redis.url }
  const servers = await Promise.all([start(t, options), start(t, options)])

  // On a machine so busy that Redis misses its 50 ms, processes go on by themselves, and the round says nothing.
  for (let round = 1; round <= rounds; round++) {
    const headers = bearer(issuer, { sub: `caller-${round}`, scope: 'api.read' })
    const before = await storeOf(servers)
    const statuses = await Promise.all(Array.from({ length: calls }, (_, index) => statusOf(`${servers[index % 2]}/orders`, headers)))
    const failures = (await storeOf(servers)).failures - before.failures
    const count = (status: number) => statuses.filter(one => one === status).length
    t.comment(`round ${round}: ${count(200)} passed, ${count(429)} refused, Redis was late for ${failures}`)
    if (failures > 0 || before.isLeft) continue
    t.strictSame({ passed: count(200), refused: count(429) }, { passed: 100, refused: 200 })
    return
  }
  t.fail('Redis was late in every round')
})
