import { Type, type Static } from '@sinclair/typebox'
import { DurationSchema } from '../config/index.ts'
import type { AuditEvent } from './event.ts'

/** Receives every event. Returning a promise marks the event as pending until it settles. */
export type AuditSink = (event: AuditEvent) => void | Promise<void>

export const AuditOptionsSchema = Type.Object({
  /** Where events go. @default the application's logger; standard output as JSON lines when it has none */
  sink: Type.Optional(Type.Unsafe<AuditSink>(Type.Function([], Type.Any()))),
  /** How many events may wait for an asynchronous sink at once. @default 1000 */
  buffer: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
  /**
   * What happens when the sink is too slow: `'drop'` the event and count it, or `'deny'` new requests with 503 until there is room.
   * @default 'drop'
   */
  onSinkFailure: Type.Optional(Type.Union([Type.Literal('drop'), Type.Literal('deny')])),
  /**
   * How long `app.close()` waits for events that the sink has not settled. A short time may lose them; a long one delays the shutdown
   * if the sink hangs.
   * @default '5 seconds'
   */
  closeTimeout: Type.Optional(DurationSchema),
  /**
   * Every route with an unsafe method (not GET, HEAD, OPTIONS) must state `config.audit`: the name of its action, or
   * `false`. A route without it stops the boot.
   * @default false
   */
  requireActions: Type.Optional(Type.Boolean())
}, { additionalProperties: false })
export interface AuditOptions extends Static<typeof AuditOptionsSchema> {}

/** `config.audit` of a route: the name of the action, or `false` to leave successful calls out of the trail. */
export const RouteAuditSchema = Type.Union([
  Type.String({ pattern: '^[\\w.:-]+$', hint: "Write a name such as 'orders.create'." }), Type.Literal(false)
])
export type RouteAudit = Static<typeof RouteAuditSchema>
