import { randomBytes } from 'node:crypto'
import type { FastifyServerOptions } from 'fastify'
import { trustedProxies } from '../edge/index.ts'
import { Marks } from '../marks/index.ts'

/** Where pino keeps what it makes of `req`, `res` and `err`. */
const kSerializers = Symbol.for('pino.serializers')
type Serializer = (value: never) => unknown
type Serializers = Readonly<Record<string, Serializer | undefined>>

/** The name of Fastify's serializer (lib/logger-pino.js). The application's own is left alone. */
const ofFastify = 'asReqValue'

/**
 * For Fastify's `childLoggerFactory`: logs the path without the query, which may contain tokens, keys and e-mail addresses
 * (RFC 6750 §5.3). Here, because `logger` belongs to the application.
 */
export const withoutQuery: NonNullable<FastifyServerOptions['childLoggerFactory']> = (logger, bindings, options) => {
  const req = options.serializers?.req ?? (logger as { [kSerializers]?: Serializers })[kSerializers]?.req
  if (req === undefined || req.name !== ofFastify) return logger.child(bindings, options)
  return logger.child(bindings, { ...options, serializers: { ...options.serializers, req: pathOnly(req) } })
}

const made = new Marks<Serializer, (request: unknown) => unknown>()

/** Cached, because every request makes a logger. */
function pathOnly (serialize: Serializer): (request: unknown) => unknown {
  return made.ofOr(serialize, () => request => {
    const value = serialize(request as never)
    if (typeof value !== 'object' || value === null || !('url' in value) || typeof value.url !== 'string') return value
    return { ...value, url: value.url.replace(/[?#].*$/s, '') }
  })
}

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
