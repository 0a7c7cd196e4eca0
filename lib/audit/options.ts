import { Type, type Static } from '@sinclair/typebox'
import { DurationSchema, type Problems, type SectionContext } from '../config/index.ts'
import type { AuditEvent } from './event.ts'
import { checkFields, FieldSchema } from './fields.ts'

/** Receives every event. Returning a promise marks the event as pending until it settles. */
export type AuditSink = (event: AuditEvent) => void | Promise<void>

/** Whether a sink wants an event. One that throws counts as yes: a mistake must not make a gap. */
export type AuditFilter = (event: AuditEvent) => boolean

/** Where events go, in which form, and what happens when they cannot get there. */
const sink = {
  /**
   * A function that gets each event; `'logger'`, the application's logger; `'stdout'`, a JSON document a line; `'console'`, a line for
   * people on standard error.
   * @default `'logger'`; without one `'console'` in development, and in production the boot stops
   */
  sink: Type.Optional(Type.Union([
    Type.Unsafe<AuditSink>(Type.Function([], Type.Any())), Type.Literal('logger'), Type.Literal('stdout'), Type.Literal('console')
  ], { hint: "Write a function, 'logger', 'stdout' or 'console'." })),
  /**
   * The form of the events of `'logger'` and `'stdout'`: `'default'`, `'ocsf'` (Open Cybersecurity Schema Framework 1.8) or `'ecs'`
   * (Elastic Common Schema 9.4). A function calls `ocsf()` or `ecs()` itself.
   * @default 'default'
   */
  format: Type.Optional(Type.Union([Type.Literal('default'), Type.Literal('ocsf'), Type.Literal('ecs')])),
  /** Only events for which this function returns true. @default all */
  filter: Type.Optional(Type.Unsafe<AuditFilter>(Type.Function([], Type.Any()))),
  /** How many events may wait for an asynchronous sink at once. @default 1000 */
  buffer: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
  /**
   * What happens when the sink is too slow: `'drop'` the event and count it, or `'deny'` new requests with 503 until there is room.
   * @default 'drop'
   */
  onSinkFailure: Type.Optional(Type.Union([Type.Literal('drop'), Type.Literal('deny')]))
}

export const SinkSchema = Type.Object(sink, { additionalProperties: false })
export type SinkOptions = Static<typeof SinkSchema>

export const AuditOptionsSchema = Type.Object({
  ...sink,
  /** Several sinks at once, each with its own filter, buffer and policy, in place of `sink`. @default none */
  sinks: Type.Optional(Type.Array(SinkSchema, { minItems: 1, maxItems: 16 })),
  /** The name of this API in the formats `'ocsf'` and `'ecs'`. @default 'api' */
  service: Type.Optional(Type.String({ minLength: 1, maxLength: 128 })),
  /**
   * What each event adds of its request, by the name in `fields`: `{ orderId: 'params.orderId' }`, or with a redaction
   * `{ agent: { from: 'headers.user-agent', redact: 'hash' } }`. At most 256 characters each; headers with credentials are refused.
   * @default none
   */
  fields: Type.Optional(Type.Record(Type.String(), FieldSchema, { maxProperties: 32 })),
  /**
   * How long `app.close()` waits for events that the sinks have not settled. A short time may lose them; a long one delays the shutdown
   * if a sink hangs.
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

/** What the schema cannot say. */
export function checkAudit (
  { sinks, fields = {}, ...rest }: AuditOptions, path: string, problems: Problems, { environment, logs }: SectionContext
): void {
  checkFields(fields, `${path}.fields`, problems)
  const named = sinks?.map((entry, index) => [entry, `${path}.sinks[${index}]`] as const) ?? [[rest, path] as const]
  for (const [{ sink, format }, at] of named) {
    if (format === undefined || (typeof sink !== 'function' && sink !== 'console')) continue
    problems.add('SECURE_API_AUDIT_SINK', `${at}.format`, 'a function gets the event as it is, and a console a line for people',
      'Remove it, and call `ocsf(event, service)` or `ecs(event, service)` in the function.')
  }
  if (sinks === undefined) {
    if (rest.sink !== undefined || logs || environment === 'development') return
    return problems.add('SECURE_API_AUDIT_NO_SINK', path, 'the application has no logger, so its trail has nowhere to go',
      "Give Fastify a logger, or state `sink: 'stdout'` for a JSON document a line, a function, or `audit: false`.")
  }
  const beside = Object.keys(sink).filter(key => key in rest)
  if (beside.length > 0) {
    problems.add('SECURE_API_AUDIT_SINK', path, `${beside.join(', ')} beside \`sinks\` belongs to no sink`,
      'Write it in each entry of `sinks`.')
  }
  sinks.forEach((entry, index) => {
    if (entry.sink !== undefined) return
    problems.add('SECURE_API_AUDIT_SINK', `${path}.sinks[${index}]`, 'it does not say where its events go',
      "State `sink`: 'logger', 'stdout', 'console' or a function.")
  })
}

/** `config.audit` of a route: the name of the action, or `false` to leave successful calls out of the trail. */
export const RouteAuditSchema = Type.Union([
  Type.String({ pattern: '^[\\w.:-]+$', hint: "Write a name such as 'orders.create'." }), Type.Literal(false)
])
export type RouteAudit = Static<typeof RouteAuditSchema>
