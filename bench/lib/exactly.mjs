import { Connection } from './connection.mjs'
import { poolOf } from './pools.mjs'
import { requestsOf } from './requests.mjs'

/**
 * So many requests and no more, the tokens in turn over all connections: for warming up, and for what is counted rather than timed. Tells
 * every status, which wrk does not.
 *
 * @param {{ port: number, amount: number, atMost?: number, connections?: number, method?: string, headers: Record<string, string>,
 *   pool?: import('./pools.mjs').Pool }} parameters
 */
export async function exactly ({ port, amount, atMost = 60, connections = 64, pool, ...form }) {
  const requests = requestsOf({ port, ...form }, await poolOf(pool))
  const statuses = {}
  const end = performance.now() + atMost * 1000
  let [sent, answered, lost] = [0, 0, 0]
  const worker = () => new Promise(resolve => {
    let connection = open()
    next()

    // A server may close connections: what was on one is lost, and another takes its place.
    function open () {
      return new Connection({
        port,
        closed () {
          lost++
          connection = open()
          next()
        }
      })
    }

    function next () {
      if (sent >= amount || performance.now() > end) {
        connection.close()
        return resolve()
      }
      connection.send(requests[sent++ % requests.length], note)
    }

    function note (status) {
      answered++
      statuses[status] = (statuses[status] ?? 0) + 1
      next()
    }
  })
  await Promise.all(Array.from({ length: connections }, worker))
  return { answered, statuses, lost }
}
