import { Redis } from 'ioredis'
import type { Test } from 'tap'
import { limitScript } from '../../../lib/limits/redis-script.ts'
import { startRedis, type TestRedis } from '../../helpers/redis.ts'

/** The script with a clock of the test's, its last argument, and keys that do not expire by that of the server. */
export const simulatedScript = limitScript.source.replace("redis.call('TIME')", '{ 0, ARGV[#ARGV] }')
  .replace('math.ceil(life / 1000)', '3600000')

/** A client of a real server of its own. */
export async function simulatedRedis (t: Pick<Test, 'teardown'>): Promise<{ client: Redis, server: TestRedis }> {
  const server = await startRedis()
  const client = new Redis(server.url)
  t.teardown(async () => {
    client.disconnect()
    await server.close()
  })
  return { client, server }
}
