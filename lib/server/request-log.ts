import type { FastifyServerOptions } from 'fastify'
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
