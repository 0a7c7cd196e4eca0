import autocannon from 'autocannon'
import { answer } from './children.mjs'
import { openLoop } from './open-loop.mjs'
import { poolOf } from './pools.mjs'

answer({ saturate, openLoop })

/**
 * As much as the server takes, for a time or until an amount is answered (`atMost` so many seconds). Tokens are dealt out to the
 * connections, each of which goes round its own share.
 *
 * @param {{ port: number, seconds?: number, amount?: number, atMost?: number, connections?: number, method?: string, headers:
 * Record<string, string>, pool?: import('./pools.mjs').Pool }} parameters
 */
async function saturate ({ port, seconds, amount, atMost, connections = 64, method = 'GET', headers, pool }) {
  let next = 0
  const shares = deal(await poolOf(pool), connections)
  const running = autocannon({
    url: `http://127.0.0.1:${port}/orders`,
    connections,
    pipelining: 1,
    ...(amount === undefined ? { duration: seconds } : { amount }),
    requests: [{ method, headers }],
    setupClient (client) {
      const share = shares[next++ % connections]
      if (share.length > 0) client.setRequests(share.map(token => ({ method, headers: { ...headers, authorization: `Bearer ${token}` } })))
    }
  })
  const timer = atMost === undefined ? undefined : setTimeout(() => running.stop(), atMost * 1000)
  const run = await running
  clearTimeout(timer)
  const statuses = Object.fromEntries(Object.entries(run.statusCodeStats).map(([status, { count }]) => [status, count]))
  const answered = Object.values(statuses).reduce((sum, count) => sum + count, 0)
  return { answered, statuses, seconds: run.duration, p50: run.latency.p50, p99: run.latency.p99, lost: run.errors + run.timeouts }
}

/** With fewer tokens than connections some connections share a token. */
function deal (tokens, connections) {
  return Array.from({ length: connections }, (_, index) => {
    if (tokens.length === 0) return []
    if (tokens.length <= connections) return [tokens[index % tokens.length]]
    return tokens.filter((_, position) => position % connections === index)
  })
}
