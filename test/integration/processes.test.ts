import { fork } from 'node:child_process'
import { once } from 'node:events'
import { Agent, get } from 'node:http'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { startRedis } from '../helpers/redis.ts'
import { bearer, startIssuer } from '../helpers/server.ts'
import type { LimitedProcessOptions } from '../helpers/limited-process.ts'

const program = fileURLToPath(new URL('../helpers/limited-process.ts', import.meta.url))

/** `fork` hands on the loader of this process, where Node cannot read TypeScript itself. */
async function start (t: Pick<Test, 'teardown'>, options: LimitedProcessOptions): Promise<string> {
  const child = fork(program, [JSON.stringify(options)])
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

t.test('two processes on one Redis: of 300 simultaneous calls under a limit of 100 exactly 100 pass', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.close())
  const issuer = await startIssuer(t)
  const options = { issuer: issuer.issuer, audience: 'api://test', redis: redis.url }
  const servers = await Promise.all([start(t, options), start(t, options)])

  const rounds = ['alice', 'bob']
  for (const sub of rounds) {
    const headers = bearer(issuer, { sub, scope: 'api.read' })
    const statuses = await Promise.all(Array.from({ length: 300 }, (_, index) => statusOf(`${servers[index % 2]}/orders`, headers)))
    const count = (status: number) => statuses.filter(one => one === status).length
    t.strictSame({ passed: count(200), refused: count(429) }, { passed: 100, refused: 200 }, sub)
  }
  for (const server of servers) {
    const status = await (await fetch(`${server}/status`)).json()
    t.match(status, { rateLimit: { store: 'redis', state: 'available', failures: 0 } }, 'Redis decided all of them')
  }
})
