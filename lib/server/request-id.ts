import { randomBytes } from 'node:crypto'
import { trustedProxies } from '../edge/index.ts'

interface Incoming {
  readonly headers: Readonly<Record<string, unknown>>
  readonly socket?: { readonly remoteAddress?: string | undefined }
}

/** Long enough for every tracing system, and nothing that a log or a header could take for its own syntax. */
const acceptable = /^[\w.:-]{1,128}$/

/**
 * Names requests. Fastify's own `requestIdHeader` takes whatever a caller sends into every log line, and its counter
 * starts again with each process, where an audit trail needs a name that stays unique.
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

/** 96 random bits for this process and a count: unique as a UUID is, which takes longer to write than most checks of a request. */
function series (): () => string {
  const process = randomBytes(12).toString('base64url')
  let count = 0
  return () => `${process}-${(++count).toString(36)}`
}
