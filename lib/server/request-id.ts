import { randomBytes } from 'node:crypto'
import { trustedProxies } from '../edge/index.ts'

interface Incoming {
  readonly headers: Readonly<Record<string, unknown>>
  readonly socket?: { readonly remoteAddress?: string | undefined }
}

/** Long enough for every tracing system, and free of log or header syntax. */
const acceptable = /^[\w.:-]{1,128}$/

/**
 * Makes request ids. Fastify's `requestIdHeader` copies any value of a caller into the log, and its counter restarts with each process,
 * but an audit trail needs unique ids.
 */
export function requestIds (header: string | undefined, proxies: readonly string[]): (request: Incoming) => string {
  const next = series()
  if (header === undefined) return next
  const name = header.toLowerCase()
  const trusted = trustedProxies(proxies)
  return ({ headers, socket }) => {
    const { [name]: id } = headers
    return typeof id === 'string' && acceptable.test(id) && trusted(socket?.remoteAddress) ? id : next()
  }
}

/** 96 random bits per process and a counter: as unique as a UUID, and faster. */
function series (): () => string {
  const process = randomBytes(12).toString('base64url')
  let count = 0
  return () => `${process}-${(++count).toString(36)}`
}
