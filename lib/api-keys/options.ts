import { DurationSchema, Type, type Static } from '../config/index.ts'
import { prefixPattern } from './format.ts'
import { ApiKeyRecordSchema, type ApiKeyRecord } from './record.ts'
import type { ApiKeyUse } from './usage.ts'

/** A record as databases give it: times may be dates, and `null`, an empty column, is no value. */
export type ApiKeyRow = Pick<ApiKeyRecord, 'id'> & {
  readonly secrets: readonly { readonly hash: string, readonly expires?: string | Date | null }[]
} & {
  readonly [Name in Exclude<keyof ApiKeyRecord, 'id' | 'secrets'>]?:
    NonNullable<ApiKeyRecord[Name]> | null | (Name extends 'expires' | 'revoked' ? Date : never)
}

/** Finds the record of a key in a store of the application; `undefined` or `null`: there is none. */
export type ApiKeyLookup = (id: string) => ApiKeyRow | undefined | null | Promise<ApiKeyRow | undefined | null>

const CacheSchema = Type.Object({
  /** How many records are kept. @default 10_000 */
  max: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
  /**
   * How long a record is used without asking again: the longest that a revocation can take where nobody calls `app.apiKeys.forget(id)`,
   * and an outage of the store that callers do not see. At most an hour.
   * @default '1 minute'
   */
  ttl: Type.Optional(DurationSchema),
  /** How long an id that the store does not know is refused without asking again. At most an hour. @default '5 seconds' */
  negativeTtl: Type.Optional(DurationSchema)
})

export const ApiKeysOptionsSchema = Type.Object({
  /**
   * What every key begins with: lower case letters and digits, such as `'shop'`. Name the service, and the environment too (`'shoptest'`):
   * a key of another prefix is refused, and secret scanners find yours by it.
   */
  prefix: Type.String({
    pattern: prefixPattern,
    hint: "Write 2 to 16 lower case letters and digits, a letter first: 'shop'.",
    // Somebody may write a whole key here.
    secret: true
  }),
  /** The header with the key. `Authorization: ApiKey <key>` is read too, a query never. @default 'x-api-key' */
  header: Type.Optional(Type.String({ pattern: '^[A-Za-z][A-Za-z0-9-]{0,63}$', hint: "Write the name of a header: 'x-api-key'." })),
  /** The records, where they hardly ever change: a change needs a restart. One of `keys`, `file` and `lookup`. */
  keys: Type.Optional(Type.Array(ApiKeyRecordSchema, { minItems: 1 })),
  /** A JSON file `{ "keys": [ … ] }` with the records, read again when it changes. Nobody else may be able to write it. */
  file: Type.Optional(Type.String()),
  /** How often the file is looked at. From a second to an hour. @default '5 seconds' */
  refresh: Type.Optional(DurationSchema),
  /** Finds a record by its id in a store of yours. A failure, a time-out or an answer of another shape is 503, never access. */
  lookup: Type.Optional(Type.Function<ApiKeyLookup>()),
  /** How long `lookup` may take. At most 10 seconds. @default '1 second' */
  timeout: Type.Optional(DurationSchema),
  /** What `lookup` found, for a while. */
  cache: Type.Optional(CacheSchema),
  /**
   * Told of the keys that were used, once a minute and when the application closes: for the column `last_used`. Its failures are logged
   * and change nothing.
   */
  onUse: Type.Optional(Type.Function<(uses: readonly ApiKeyUse[]) => unknown>())
})

type Written = Static<typeof ApiKeysOptionsSchema>

/** The option `auth.apiKeys`. */
export type ApiKeysOptions = Omit<Written, 'keys'> & { readonly keys?: readonly ApiKeyRecord[] }
