import type { KeyObject } from 'node:crypto'
import { resolve } from 'node:path'
import { DurationSchema, Type, type Problems, type SectionContext, type Static } from '../config/index.ts'
import type { SecretSource } from '../secrets/index.ts'
import { checkChainKey } from './chain-key.ts'
import type { AuditEvent } from './event.ts'
import { checkFields, FieldSchema } from './fields.ts'

/** Receives every event. Returning a promise marks the event as pending until it settles. */
export type AuditSink = (event: AuditEvent) => void | Promise<void>

/** Whether a sink wants an event. One that throws counts as yes: a mistake must not make a gap. */
export type AuditFilter = (event: AuditEvent) => boolean

const ChainSchema = Type.Object({
  /**
   * A private key that signs, Ed25519 or P-256: `{ file }`, `{ env }`, `{ provider, name }` with a PEM, or a KeyObject. `secure-api audit
   * key` makes one. A new key signs from then on; `secure-api audit verify` takes several.
   */
  key: Type.Unsafe<SecretSource | KeyObject>({ secretSource: 'text', secret: true }),
  /** How many events at most are without a signature. @default 1000 */
  every: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
  /** How long an event is without a signature. @default '10 seconds' */
  interval: Type.Optional(DurationSchema)
})

/** Where events go, in which form, and what happens when they cannot get there. */
const sink = {
  /**
   * A function that gets each event; `'logger'`, the application's logger; `'stdout'`, a JSON document a line; `'console'`, a line for
   * people on standard error.
   * @default `'logger'`; without one `'console'` in development, and in production the boot stops
   */
  sink: Type.Optional(Type.Union([
    Type.Function<AuditSink>(), Type.Literal('logger'), Type.Literal('stdout'), Type.Literal('console')
  ], { hint: "Write a function, 'logger', 'stdout' or 'console'." })),
  /**
   * The path of a file, in place of `sink`: a JSON document a line, readable by its owner alone. It follows rotation, and survives a full
   * disk.
   * @default none
   */
  file: Type.Optional(Type.String()),
  /** Makes a chain of hashes with signed checkpoints of the lines of `file`, so that no change goes unseen. @default none */
  chain: Type.Optional(ChainSchema),
  /** Whether each batch of lines of `file` waits until the disk has it. @default false */
  fsync: Type.Optional(Type.Boolean()),
  /**
   * The form of the events of `'logger'`, `'stdout'` and `file`: `'default'`, `'ocsf'` (Open Cybersecurity Schema Framework 1.8) or `'ecs'`
   * (Elastic Common Schema 9.4). A function calls `ocsf()` or `ecs()` itself.
   * @default 'default'
   */
  format: Type.Optional(Type.Union([Type.Literal('default'), Type.Literal('ocsf'), Type.Literal('ecs')])),
  /** Only events for which this function returns true. @default all */
  filter: Type.Optional(Type.Function<AuditFilter>()),
  /** How many events may wait for an asynchronous sink at once. @default 1000 */
  buffer: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
  /**
   * What happens when the sink is too slow: `'drop'` the event and count it, or `'deny'` new requests with 503 until there is room.
   * @default 'drop'
   */
  onSinkFailure: Type.Optional(Type.Union([Type.Literal('drop'), Type.Literal('deny')]))
}

export const SinkSchema = Type.Object(sink)
export type SinkOptions = Static<typeof SinkSchema>

export const AuditOptionsSchema = Type.Object({
  ...sink,
  /** Several sinks at once, each with its own filter, buffer and policy, in place of `sink`. @default none */
  sinks: Type.Optional(Type.Array(SinkSchema, { minItems: 1 })),
  /** The name of this API in the formats `'ocsf'` and `'ecs'`. @default 'api' */
  service: Type.Optional(Type.String({ pattern: '^.{1,128}$', hint: 'Write a name of at most 128 characters.' })),
  /**
   * What each event adds of its request, by the name in `fields`: `{ orderId: 'params.orderId' }`, or with a redaction
   * `{ agent: { from: 'headers.user-agent', redact: 'hash' } }`. At most 256 characters each; headers with credentials are refused.
   * @default none
   */
  fields: Type.Optional(Type.Record(FieldSchema)),
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
})
export interface AuditOptions extends Static<typeof AuditOptionsSchema> {}

/** What the schema cannot say. */
export function checkAudit (options: AuditOptions, path: string, problems: Problems, context: SectionContext): void {
  const { sinks, fields = {} } = options
  checkFields(fields, `${path}.fields`, problems)
  if (sinks === undefined) return checkSink(options, path, problems, context)
  const beside = Object.keys(sink).filter(key => key in options)
  if (beside.length > 0) {
    problems.add('SECURE_API_AUDIT_SINK', path, `${beside.join(', ')} beside \`sinks\` belongs to no sink`,
      'Write it in each entry of `sinks`.')
  }
  for (const [index, entry] of sinks.entries()) {
    const place = `${path}.sinks[${index}]`
    if (isLed(entry)) checkSink(entry, place, problems, context)
    else {
      problems.add('SECURE_API_AUDIT_SINK', place, 'it does not say where its events go',
        "State `sink`: 'logger', 'stdout', 'console' or a function; or `file`.")
    }
  }
  checkFilesDiffer(sinks, path, problems)
}

/** Each sink keeps its own account of where its file ends, and the lines of another one break its chain. */
function checkFilesDiffer (sinks: readonly SinkOptions[], path: string, problems: Problems): void {
  const seen = new Map<string, number>()
  for (const [index, { file }] of sinks.entries()) {
    if (file === undefined) continue
    const first = seen.get(resolve(file))
    if (first === undefined) seen.set(resolve(file), index)
    else {
      problems.add('SECURE_API_AUDIT_SINK', `${path}.sinks[${index}].file`, `\`sinks[${first}]\` writes the same file`,
        'Give each its own, or one sink that takes the events of both.')
    }
  }
}

function isLed ({ sink, file }: SinkOptions): boolean {
  return sink !== undefined || file !== undefined
}

function checkSink (
  { sink, file, chain, fsync, format }: SinkOptions, path: string, problems: Problems, { environment, logs }: SectionContext
): void {
  if (!logs && environment !== 'development' && (sink === 'logger' || (sink ?? file) === undefined)) {
    problems.add('SECURE_API_AUDIT_NO_SINK', path, 'the application has no logger, so its trail has nowhere to go',
      "Give Fastify a logger, or state `file`, `sink: 'stdout'` for a JSON document a line, a function, or `audit: false`.")
  }
  const wrong = (why: string, fix: string) => problems.add('SECURE_API_AUDIT_SINK', path, why, fix)
  if (sink !== undefined && file !== undefined) wrong('`sink` and `file` are two places', 'Write two entries of `sinks`.')
  if (file === undefined && (chain !== undefined || fsync !== undefined)) {
    wrong('`chain` and `fsync` are of a file', 'State `file`, or remove them.')
  }
  if (format !== undefined && (typeof sink === 'function' || sink === 'console')) {
    wrong('a function gets the event as it is, and a console a line for people, so `format` has no effect',
      'Remove it, and call `ocsf(event, service)` or `ecs(event, service)` in the function.')
  }
  if (chain !== undefined) checkChainKey(chain.key, `${path}.chain.key`, problems)
}

/** `config.audit` of a route: the name of the action, or `false` to leave successful calls out of the trail. */
export const RouteAuditSchema = Type.Union([
  Type.String({ pattern: '^[\\w.:-]+$', hint: "Write a name such as 'orders.create'." }), Type.Literal(false)
])
export type RouteAudit = Static<typeof RouteAuditSchema>
