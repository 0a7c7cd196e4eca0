import { apiKeyId, checkRecords, type ApiKeyRecord } from '../../lib/api-keys/index.ts'
import { parseDuration, Problems } from '../../lib/config/index.ts'
import { UsageError } from '../command.ts'
import { momentOf } from '../moment.ts'
import { notEmpty, scopeToken, unique, words } from '../token/request.ts'

const list = { type: 'string', multiple: true } as const
const text = { type: 'string' } as const
const json = { type: 'boolean' } as const

export const options = {
  create: {
    prefix: text,
    scope: { ...list, short: 's' },
    role: { ...list, short: 'r' },
    owner: text,
    name: text,
    expires: text,
    allow: list,
    file: text,
    json
  },
  rotate: { prefix: text, file: text, overlap: text, expires: text, json },
  revoke: { file: text },
  list: { file: text, json },
  check: { prefix: text, file: text }
} as const

interface Description {
  readonly scope?: readonly string[] | undefined
  readonly role?: readonly string[] | undefined
  readonly owner?: string | undefined
  readonly name?: string | undefined
  readonly expires?: string | undefined
  readonly allow?: readonly string[] | undefined
}

/** What a new record says, apart from its id and its secret. */
export function describedBy (given: Description, now: number): Omit<ApiKeyRecord, 'id' | 'secrets'> {
  const scopes = unique((given.scope ?? []).flatMap(words)).map(scopeToken)
  const roles = unique(given.role ?? []).map(notEmpty('--role'))
  return {
    ...(given.owner !== undefined && { owner: notEmpty('--owner')(given.owner) }),
    ...(given.name !== undefined && { name: notEmpty('--name')(given.name) }),
    ...(scopes.length > 0 && { scopes }),
    ...(roles.length > 0 && { roles }),
    ...(given.expires !== undefined && { expires: timeOf(given.expires, now) }),
    ...(given.allow !== undefined && { allowedAddresses: unique(given.allow) })
  }
}

/** @throws UsageError for what the record of a key cannot be */
export function checkRecord (record: ApiKeyRecord): ApiKeyRecord {
  const problems = new Problems()
  checkRecords([record], 'key', problems)
  const [problem] = problems.list()
  if (problem !== undefined) throw new UsageError(`${problem.why}. ${problem.fix}`)
  return record
}

/** The keys' prefix: no record holds it. It is not repeated: it may be a mistyped key. */
export function prefixOf (given: string | undefined): string {
  if (given === undefined) throw new UsageError('give --prefix, the same as `auth.apiKeys.prefix` of the application')
  if (/^[a-z][a-z0-9]{1,15}$/.test(given)) return given
  throw new UsageError('--prefix is not 2 to 16 lower case letters and digits, a letter first')
}

export function fileOf (given: string | undefined): string {
  if (given === undefined) throw new UsageError('give --file, the same as `auth.apiKeys.file` of the application')
  return notEmpty('--file')(given)
}

const DAY = 86_400_000
const CENTURY = 36_525 * DAY

/** `90d` from now, or a date: `2027-01-31` is its first moment in UTC. */
export function timeOf (given: string, now: number): string {
  const time = momentOf(given, now, 1)
  if (Number.isNaN(time)) {
    throw new UsageError(`--expires ${JSON.stringify(given)} is neither a duration nor a date; write 90d or 2027-01-31`)
  }
  if (time <= now || time > now + CENTURY) throw new UsageError('--expires is in the past, or more than a century away')
  return new Date(time).toISOString()
}

export function overlapOf (given = '7d'): number {
  const ms = given === '0' ? 0 : parseDuration(given)
  if (ms === undefined) throw new UsageError(`--overlap ${JSON.stringify(given)} is not a duration; write 7d, 12h or 0`)
  if (ms > 366 * DAY) throw new UsageError('--overlap is at most 366 days')
  return ms
}

/** The one whose id is this, or begins so. Whatever may be a key is not repeated: it would stand in logs too. */
export function recordNamed (given: string, records: readonly ApiKeyRecord[]): ApiKeyRecord {
  refuseKey(given)
  const found = records.filter(({ id }) => given !== '' && id.startsWith(given))
  const [record] = found
  if (record === undefined) throw new UsageError('there is no key of this id; `secure-api key list` shows them')
  if (found.length > 1) throw new UsageError(`${found.length} keys begin with ${JSON.stringify(given)}; give more of the id`)
  return record
}

/** Arguments stand in the history of the shell and in the list of processes. */
export function refuseKey (given: string): void {
  const id = apiKeyId(given)
  if (id === undefined) return
  throw new UsageError(`this is a key, and others can see the arguments of a command. Its id is ${id}: rotate it with --overlap 0`)
}
