import { setTimeout as wait } from 'node:timers/promises'
import { calm } from './groups.mjs'
import { cores, start } from './children.mjs'
import { table } from './markdown.mjs'
import { audience, origin, scope } from './material.mjs'
import { missing, startRedis } from './redis.mjs'
import { slope } from './stats.mjs'

const MINUTE = 60_000
const TOKENS = 500
/** The first part of a run fills caches and compiles code; growth counts after it. */
const SETTLED = 0.3
/** A heap that grows by less than that in an hour is no leak that anyone would meet between two releases. */
const TOLERATED_MB_PER_HOUR = 5
/** Points that a line through them needs to mean something. */
const ENOUGH = 6

/**
 * Half load for so many minutes, in which what happens hourly happens every minute: the issuer rotates its key and
 * withdraws the oldest, tokens expire and are replaced, Redis goes away and comes back empty.
 *
 * @returns {Promise<number>} exit code 0 when the heap does not grow
 */
export async function soak (minutes, say) {
  if (missing !== undefined) throw new Error(missing)
  const redis = await startRedis()
  const [load, issuer] = await Promise.all([start('./load-process.mjs', { core: cores.load }),
    start('./soak-issuer-process.mjs', { core: cores.load })])
  const server = await start('./server-process.mjs', { core: cores.server, flags: ['--expose-gc'] })
  try {
    const setting = {
      ...calm,
      ...await issuer.call('address'),
      audience,
      origin,
      scope,
      algorithm: 'ES256',
      redis: redis.url,
      keys: { refresh: '1 minute' }
    }
    const { port } = await server.call('start', { variant: 'suite-server', setting })
    const rate = await halfOf(port, load, issuer)
    say(`${rate} requests a second for ${minutes} minutes`)
    const points = []
    for (let minute = 0; minute < minutes; minute++) {
      points.push(await oneMinute(minute, Math.min(1, minutes - minute), { port, rate, load, issuer, server, redis }))
      say(JSON.stringify(points.at(-1)))
    }
    return judge(points, say)
  } finally {
    await Promise.all([server, load, issuer].map(process => process.stop()))
    await redis.stop()
  }
}

async function halfOf (port, load, issuer) {
  const pool = { list: await issuer.call('tokens', { count: TOKENS }) }
  const { answered, seconds } = await load.call('saturate', { port, seconds: 3, expect: 200, headers: { origin }, pool })
  return Math.max(1, Math.floor(answered / seconds / 2))
}

async function oneMinute (minute, part, { port, rate, load, issuer, server, redis }) {
  const pool = { list: await issuer.call('tokens', { count: TOKENS }) }
  const half = part * MINUTE / 2000
  const first = load.call('openLoop', { port, seconds: half, warmup: 0, streams: [{ name: 'steady', rate, headers: { origin }, pool }] })
  await wait(half * 500)
  await redis.restart(500)
  const answers = [(await first).steady]
  await issuer.call('rotate')
  const fresh = { list: await issuer.call('tokens', { count: TOKENS }) }
  answers.push((await load.call('openLoop', {
    port,
    seconds: half,
    warmup: 0,
    streams: [{ name: 'steady', rate, headers: { origin }, pool: fresh }]
  })).steady)
  const { heapUsed, external, rss } = await server.call('heap')
  return {
    minute: minute + 1,
    heapMb: mb(heapUsed + external),
    rssMb: mb(rss),
    p99: answers.map(({ p99 }) => Math.round(p99 * 10) / 10),
    statuses: added(answers.map(({ statuses }) => statuses)),
    lost: answers.reduce((sum, { lost, unanswered }) => sum + lost + unanswered, 0)
  }
}

function judge (points, say) {
  const settled = points.slice(Math.floor(points.length * SETTLED))
  const perHour = key => slope(settled.map(point => ({ x: point.minute / 60, y: point[key] })))
  const [first, last] = [settled[0], settled.at(-1)]
  say(table(['figure', 'after settling', 'at the end', 'MB more an hour'],
    [['heap', first.heapMb, last.heapMb, perHour('heapMb').toFixed(1)], ['RSS', first.rssMb, last.rssMb, perHour('rssMb').toFixed(1)]]))
  if (settled.length < ENOUGH) return tell('Too short to tell growth.', 0)
  return perHour('heapMb') > TOLERATED_MB_PER_HOUR ? tell('The heap grows.', 1) : tell('The heap does not grow.', 0)

  function tell (text, code) {
    say(text)
    return code
  }
}

function added (counts) {
  const sum = {}
  for (const [status, count] of counts.flatMap(Object.entries)) sum[status] = (sum[status] ?? 0) + count
  return sum
}

function mb (bytes) {
  return Math.round(bytes / 2 ** 20 * 10) / 10
}
