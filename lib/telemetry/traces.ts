import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { IntrospectionMessage } from '../introspection/index.ts'
import type { KeyMessage } from '../keys/index.ts'
import type { StoreMessage } from '../redis/index.ts'
import type { Attributes, OpenTelemetry } from './api.ts'

/** SpanKind.CLIENT and SpanStatusCode.ERROR. */
const CLIENT = 2
const ERROR = 2

/** Applications in one process share the channels, and so the spans. */
let users = 0
let stop = () => {}

/**
 * A span for each exchange with another server: a key fetch, a look-up of an opaque token, a call to Redis. They are made when the
 * work is over, in the context of the request that waited for it.
 */
export function startSpans ({ trace }: Pick<OpenTelemetry, 'trace'>): () => void {
  if (++users === 1) stop = listen(trace)
  return () => {
    if (--users === 0) stop()
  }
}

function listen (trace: OpenTelemetry['trace']): () => void {
  const tracer = trace.getTracer('fastify-secure-api')
  const span = (name: string, durationMs: number, failed: boolean, attributes: Attributes) => {
    try {
      const now = Date.now()
      const made = tracer.startSpan(name, { kind: CLIENT, startTime: now - durationMs, attributes })
      if (failed) made.setStatus({ code: ERROR })
      made.end(now)
    } catch {}
  }
  const feeds: ReadonlyArray<readonly [string, (message: unknown) => void]> = [
    ['secure-api:keys', message => {
      const fetched = message as KeyMessage
      if (fetched.type !== 'keys.fetched') return
      span('secure_api.keys.fetch', fetched.durationMs, !fetched.ok, { 'secure_api.issuer': fetched.issuer })
    }],
    ['secure-api:introspection', message => {
      const { issuer, result, durationMs } = message as IntrospectionMessage
      span('secure_api.introspection', durationMs, result !== 'ok', { 'secure_api.issuer': issuer, 'secure_api.result': result })
    }],
    ['secure-api:store', message => {
      const call = message as StoreMessage
      if (call.type !== 'call') return
      const { store, result, durationMs } = call
      span('secure_api.store', durationMs, result !== 'ok', { 'secure_api.store': store, 'secure_api.result': result })
    }]
  ]
  for (const [name, listener] of feeds) subscribe(name, listener)
  return () => {
    for (const [name, listener] of feeds) unsubscribe(name, listener)
  }
}

/** What became of the request, on the span that is active: that of the HTTP instrumentation, or of the framework's. */
export function noteOnSpan ({ trace }: Pick<OpenTelemetry, 'trace'>, attributesOf: () => Attributes): void {
  try {
    trace.getActiveSpan()?.setAttributes(attributesOf())
  } catch {}
}
