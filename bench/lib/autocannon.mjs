import autocannon from 'autocannon'
import { poolOf } from './pools.mjs'

/**
 * Where wrk is missing: slower than the servers that are measured, so that ratios come out nearer to one another than they are. Tokens
 * are dealt out to the connections, each of which goes round its own share.
 */
export async function saturateByAutocannon ({ port, seconds, connections, method, headers, pool }) {
  let next = 0
  const shares = deal(await poolOf(pool), connections)
  const run = await autocannon({
    url: `http://127.0.0.1:${port}/orders`,
    connections,
    pipelining: 1,
    duration: seconds,
    requests: [{ method, headers }],
    setupClient (client) {
      const share = shares[next++ % connections]
      if (share.length > 0) client.setRequests(share.map(token => ({ method, headers: { ...headers, authorization: `Bearer ${token}` } })))
    }
  })
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
