import { Connection } from './connection.mjs'
import { poolOf } from './pools.mjs'
import { requestsOf } from './requests.mjs'
import { quantile } from './stats.mjs'

/**
 * Requests at a fixed rate. Each has its time in a schedule, and its latency counts from there, so that a server that
 * falls behind is not asked less.
 * @typedef {{ name: string, rate: number, connections?: number, localAddress?: string, method?: string,
 *   headers?: Record<string, string>, pool?: import('./pools.mjs').Pool }} Stream
 */

/**
 * @param {{ port: number, seconds: number, warmup?: number, streams: readonly Stream[] }} parameters
 */
export async function openLoop ({ port, seconds, warmup = 1, streams }) {
  const prepared = await Promise.all(streams.map(async stream => new Schedule(port, stream, await poolOf(stream.pool))))
  const begun = performance.now()
  const counted = begun + warmup * 1000
  const end = counted + seconds * 1000
  for (const stream of prepared) stream.begin(begun, counted)
  await everyTurn(now => {
    for (const stream of prepared) stream.sendDue(Math.min(now, end))
    return now < end
  })
  // What is still on its way may come, but not for ever: an overloaded server would never end.
  await everyTurn(now => now < end + 2000 && prepared.some(stream => stream.waiting))
  for (const stream of prepared) stream.close()
  return Object.fromEntries(prepared.map(stream => [stream.name, stream.result(seconds)]))
}

/** Spins on its own core: timers of a millisecond would be most of what is measured. */
function everyTurn (step) {
  return new Promise(resolve => {
    const turn = () => step(performance.now()) ? setImmediate(turn) : resolve(undefined)
    turn()
  })
}

class Schedule {
  name
  #interval
  #requests
  #connections
  #free
  #open
  #next = 0
  #counted = 0
  /** When requests were due that wait for a free connection, oldest at `#first`. */
  #due = []
  #first = 0
  #sent = 0
  #latencies = []
  /** How far behind its schedule each was sent: of the load, where connections were free. */
  #lags = []
  #statuses = {}
  #ended = 0
  #lost = 0

  constructor (port, { name, rate, connections = 64, localAddress, method = 'GET', headers = {} }, tokens) {
    this.name = name
    this.#interval = 1000 / rate
    this.#requests = requestsOf({ port, method, headers }, tokens)
    this.#open = () => new Connection({ port, localAddress, closed: gone => this.#replace(gone) })
    this.#free = Array.from({ length: connections }, this.#open)
    this.#connections = new Set(this.#free)
  }

  get waiting () {
    return this.#ended < this.#due.length
  }

  begin (now, counted) {
    this.#next = now
    this.#counted = counted
  }

  sendDue (now) {
    for (; this.#next <= now; this.#next += this.#interval) this.#due.push(this.#next)
    while (this.#first < this.#due.length && this.#free.length > 0) this.#send(this.#free.pop(), this.#due[this.#first++])
  }

  close () {
    for (const connection of this.#connections) connection.close()
  }

  result (seconds) {
    const at = part => quantile(this.#latencies, part)
    return {
      p50: at(0.5),
      p99: at(0.99),
      p999: at(0.999),
      late: quantile(this.#lags, 0.99),
      rate: this.#latencies.length / seconds,
      statuses: this.#statuses,
      lost: this.#lost,
      unanswered: this.#due.length - this.#ended
    }
  }

  #send (connection, scheduled) {
    if (scheduled >= this.#counted) this.#lags.push(performance.now() - scheduled)
    connection.send(this.#requests[this.#sent++ % this.#requests.length], status => {
      this.#ended++
      this.#free.push(connection)
      if (scheduled < this.#counted) return
      this.#statuses[status] = (this.#statuses[status] ?? 0) + 1
      this.#latencies.push(performance.now() - scheduled)
    })
  }

  /** Servers may close connections. A request that was on one is lost. */
  #replace (gone) {
    const idle = this.#free.indexOf(gone)
    if (idle === -1) {
      this.#lost++
      this.#ended++
    } else this.#free.splice(idle, 1)
    this.#connections.delete(gone)
    const fresh = this.#open()
    this.#connections.add(fresh)
    this.#free.push(fresh)
  }
}
