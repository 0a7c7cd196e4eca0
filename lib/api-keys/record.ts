import { randomBytes, timingSafeEqual } from 'node:crypto'
import { BlockList, isIP } from 'node:net'
import { check, Problems, Type, type Static } from '../config/index.ts'
import { immutableSet, type Failed, type Principal, type Verified } from '../credentials/index.ts'
import { hashOf, hashPattern, idPattern } from './format.ts'

const DateSchema = Type.String({
  pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d(:\\d\\d(\\.\\d{1,9})?)?(Z|[+-]\\d\\d:\\d\\d)$',
  hint: "Write the time and its zone: '2027-01-31T00:00:00Z'."
})

const SecretSchema = Type.Object({
  /** `sha256:` and the digest of the whole text in hexadecimal digits. */
  hash: Type.String({ pattern: hashPattern, hint: 'It is `sha256:` and 64 hexadecimal digits, never the key itself.', secret: true }),
  /** From then on this secret is refused: for the old one of two. */
  expires: Type.Optional(DateSchema)
})

/** What is kept of a key. */
export const ApiKeyRecordSchema = Type.Object({
  /** The twelve characters between the underscores of the key. Not secret. */
  id: Type.String({ pattern: idPattern, hint: 'It is the part between the two underscores of the key.' }),
  /** Whose key it is: the `subject` of its principal, so that all keys of an owner share what counts by principal. @default the id */
  owner: Type.Optional(Type.String()),
  /** For people: what the key is for. */
  name: Type.Optional(Type.String()),
  /** One; or two while callers move to the new one, of which the old one has `expires`. */
  secrets: Type.Array(SecretSchema, { minItems: 1 }),
  scopes: Type.Optional(Type.Array(Type.String())),
  roles: Type.Optional(Type.Array(Type.String())),
  /** From then on the key is refused. @default never */
  expires: Type.Optional(DateSchema),
  /** When it was revoked. The key is refused from the moment that this is there. */
  revoked: Type.Optional(DateSchema),
  /** Where it may be used: addresses and networks (`'203.0.113.0/24'`), as `request.ip` has them. @default everywhere */
  allowedAddresses: Type.Optional(Type.Array(Type.String(), { minItems: 1 })),
  /** `'api-key'`, where a store keeps other things beside. @default 'api-key' */
  kind: Type.Optional(Type.Literal('api-key'))
})

export interface ApiKeyRecord extends Static<typeof ApiKeyRecordSchema> {}

/** Everything that is wrong with a list of records. Never shows a hash. */
export function checkRecords (records: readonly unknown[], path: string, problems: Problems): void {
  const seen = new Set<string>()
  for (const [index, record] of records.entries()) {
    const at = `${path}[${index}]`
    if (!problems.clean(found => check(ApiKeyRecordSchema, record, at, found))) continue
    checkRecord(record as ApiKeyRecord, at, problems)
    const { id } = record as ApiKeyRecord
    if (seen.has(id)) problems.add('SECURE_API_OPTION_CONFLICT', `${at}.id`, `${id} is there twice`, 'Remove one of them.')
    seen.add(id)
  }
}

/** What the schema of a record cannot say. */
function checkRecord ({ secrets, expires, revoked, allowedAddresses = [] }: ApiKeyRecord, path: string, problems: Problems): void {
  const conflict = (why: string, fix: string) => problems.add('SECURE_API_OPTION_CONFLICT', `${path}.secrets`, why, fix)
  if (secrets.length > 2) conflict('a key has more than two secrets', 'Remove the oldest.')
  if (new Set(secrets.map(({ hash }) => hash)).size < secrets.length) conflict('a secret is there twice', 'Remove one of them.')
  if (secrets.length > 1 && secrets.every(secret => secret.expires === undefined)) {
    conflict('of two secrets none expires, so a rotation would never end', 'Give the old one `expires`.')
  }
  for (const [index, date] of [expires, revoked, ...secrets.map(secret => secret.expires)].entries()) {
    if (date === undefined || !Number.isNaN(Date.parse(date))) continue
    const name = ['expires', 'revoked'][index] ?? `secrets[${index - 2}].expires`
    problems.add('SECURE_API_OPTION_VALUE', `${path}.${name}`, 'there is no such time', "Write '2027-01-31T00:00:00Z'.")
  }
  for (const [index, entry] of allowedAddresses.entries()) {
    if (networkOf(entry) !== undefined) continue
    problems.add('SECURE_API_OPTION_VALUE', `${path}.allowedAddresses[${index}]`, `'${entry.slice(0, 60)}' is no address and no network`,
      "Write '203.0.113.7', or '2001:db8::/32'.")
  }
}

interface Network { readonly address: string, readonly family: 'ipv4' | 'ipv6', readonly bits: number }

function networkOf (entry: string): Network | undefined {
  const [, address = '', length] = /^([^/%]+)(?:\/(\d{1,3}))?$/.exec(entry) ?? []
  const version = isIP(address)
  const longest = version === 4 ? 32 : 128
  const bits = Number(length ?? longest)
  return version === 0 || bits > longest ? undefined : { address, family: version === 4 ? 'ipv4' : 'ipv6', bits }
}

/** A record, ready for requests. */
export interface StoredKey {
  readonly id: string
  readonly revoked: boolean
  readonly secrets: readonly StoredSecret[]
  readonly places: BlockList | undefined
}

interface StoredSecret {
  readonly digest: Buffer
  readonly expires: number
  readonly verified: Verified
}

/** Expects a record that was checked. */
export function storedKey (record: ApiKeyRecord): StoredKey {
  const { id, secrets, revoked, allowedAddresses } = record
  return Object.freeze({
    id,
    revoked: revoked !== undefined,
    secrets: secrets.map(secret => storedSecret(secret, record)),
    places: allowedAddresses && placesOf(allowedAddresses)
  })
}

function storedSecret ({ hash, expires }: ApiKeyRecord['secrets'][number], record: ApiKeyRecord): StoredSecret {
  const until = Math.min(timeOf(expires), timeOf(record.expires))
  const verified: Verified = Object.freeze({ kind: 'verified', principal: principalOf(record, until) })
  return { digest: Buffer.from(hash), expires: until, verified }
}

function timeOf (date: string | undefined): number {
  return date === undefined ? Infinity : Date.parse(date)
}

function principalOf ({ id, owner, name, scopes = [], roles = [] }: ApiKeyRecord, expiresAt: number): Principal {
  return Object.freeze({
    kind: 'api-key',
    credential: 'api-key',
    keyId: id,
    subject: owner ?? id,
    client: id,
    issuer: 'api-key',
    scopes: immutableSet(scopes),
    roles: immutableSet(roles),
    claims: Object.freeze({ key: id, ...(owner !== undefined && { owner }), ...(name !== undefined && { name }) }),
    expiresAt
  })
}

function placesOf (entries: readonly string[]): BlockList {
  const list = new BlockList()
  for (const entry of entries) {
    const { address, bits, family } = networkOf(entry) ?? { address: '', bits: 0, family: 'ipv4' }
    list.addSubnet(address, bits, family)
  }
  return list
}

const failed = {
  unknown: { kind: 'failed', code: 'SECURE_API_API_KEY_UNKNOWN' },
  revoked: { kind: 'failed', code: 'SECURE_API_API_KEY_REVOKED' },
  expired: { kind: 'failed', code: 'SECURE_API_API_KEY_EXPIRED' },
  address: { kind: 'failed', code: 'SECURE_API_API_KEY_ADDRESS' }
} as const satisfies Record<string, Failed>

/** Compared where there is no record, so that an unknown id takes as long as a wrong secret. */
const nobody: readonly Pick<StoredSecret, 'digest'>[] = [{ digest: Buffer.from(hashOf(randomBytes(32).toString('hex'))) }]

/** What the text of a key is worth now. Only whoever has the secret learns what is wrong with the record. */
export function judgeKey (record: StoredKey | undefined, text: string, address: string | undefined, now: number): Verified | Failed {
  // As text first: the digest as bytes takes Node three times as long.
  const digest = Buffer.from(hashOf(text))
  // All of them, also after the right one.
  const same = (record?.secrets ?? nobody).map(secret => timingSafeEqual(secret.digest, digest))
  const secret = record?.secrets[same.indexOf(true)]
  if (record === undefined || secret === undefined) return failed.unknown
  if (record.revoked) return failed.revoked
  if (now >= secret.expires) return failed.expired
  return isAllowed(record.places, address) ? secret.verified : failed.address
}

/** A caller without an address, on a Unix socket, is nowhere. */
function isAllowed (places: BlockList | undefined, given: string | undefined): boolean {
  if (places === undefined) return true
  const [address = ''] = (given ?? '').split('%', 1)
  const version = isIP(address)
  return version !== 0 && places.check(address, version === 4 ? 'ipv4' : 'ipv6')
}
