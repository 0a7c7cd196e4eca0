import { isDeepStrictEqual } from 'node:util'
import { deepFreeze, immutableSet, type Principal } from '../credentials/index.ts'

/** Whom a request stands for, as an authenticator of the application says it. */
export interface CallerFacts {
  /** @default 'user' */
  readonly kind?: 'user' | 'service' | 'api-key'
  /** The caller's lasting name: what limits count by and the audit trail shows. */
  readonly subject: string
  readonly client?: string
  /** Who vouches for the subject: with another issuer it is another caller. @default the authenticator's name */
  readonly issuer?: string
  readonly tenant?: string
  readonly scopes?: Iterable<string>
  readonly roles?: Iterable<string>
  /** For policies, and `request.user`. Frozen. @default {} */
  readonly claims?: Readonly<Record<string, unknown>>
  /** From then on the request is refused. @default never */
  readonly expiresAt?: Date | number
}

/** Callers whose principals are remembered. */
const MOST = 1000

/**
 * The principals of what an authenticator answers. It answers anew for each request, and nearly always the same: then the principal is the
 * same object too, so that nothing is copied and what others keep for a principal is found. Every part of the answer is compared.
 */
export class OwnPrincipals {
  readonly #credential: string
  readonly #recent = new Map<string, Principal>()

  constructor (credential: string) {
    this.#credential = credential
  }

  /** Throws a TypeError for what is no caller: a half-filled answer must open nothing. */
  of (answer: unknown): Principal {
    const facts = factsOf(answer, this.#credential)
    const known = this.#recent.get(facts.subject)
    if (known !== undefined && isSame(known, facts)) return known
    const principal = principalOf(facts)
    if (this.#recent.size >= MOST) this.#recent.clear()
    this.#recent.set(principal.subject, principal)
    return principal
  }
}

interface Facts extends Omit<Principal, 'scopes' | 'roles' | 'tenant'> {
  readonly tenant: string | undefined
  readonly scopes: readonly string[]
  readonly roles: readonly string[]
}

const kinds: readonly unknown[] = ['user', 'service', 'api-key']

function factsOf (answer: unknown, credential: string): Facts {
  if (typeof answer !== 'object' || answer === null) throw new TypeError('the authenticator answered neither a caller, false nor undefined')
  const { kind = 'user', subject, client, issuer, tenant, scopes = [], roles = [], claims = {}, expiresAt = Infinity } =
    answer as CallerFacts
  if (!kinds.includes(kind)) throw new TypeError("the caller's `kind` is not 'user', 'service' or 'api-key'")
  if (typeof subject !== 'string' || subject === '') throw new TypeError("the caller's `subject` is not a text")
  if (typeof claims !== 'object' || claims === null) throw new TypeError("the caller's `claims` are not an object")
  const until = Number(expiresAt)
  if (Number.isNaN(until)) throw new TypeError("the caller's `expiresAt` is no time")
  return {
    kind,
    credential,
    subject,
    client: textOf(client, 'client'),
    issuer: textOf(issuer, 'issuer') ?? credential,
    tenant: textOf(tenant, 'tenant'),
    scopes: namesOf(scopes, 'scopes'),
    roles: namesOf(roles, 'roles'),
    claims,
    expiresAt: until
  }
}

function textOf (value: unknown, name: string): string | undefined {
  if (value === undefined || (typeof value === 'string' && value !== '')) return value
  throw new TypeError(`the caller's \`${name}\` is not a text`)
}

function namesOf (names: Iterable<unknown>, name: string): readonly string[] {
  const list = typeof names === 'string' ? undefined : [...names]
  if (list?.every(one => typeof one === 'string') !== true) throw new TypeError(`the caller's \`${name}\` are not a list of texts`)
  return list as string[]
}

function principalOf ({ tenant, scopes, roles, claims, ...facts }: Facts): Principal {
  return Object.freeze({
    ...facts,
    ...(tenant !== undefined && { tenant }),
    scopes: immutableSet(scopes),
    roles: immutableSet(roles),
    claims: deepFreeze(structuredClone(claims))
  })
}

function isSame (known: Principal, { kind, client, issuer, tenant, scopes, roles, claims, expiresAt }: Facts): boolean {
  return known.kind === kind && known.client === client && known.issuer === issuer && known.tenant === tenant &&
    known.expiresAt === expiresAt && areSame(known.scopes, scopes) && areSame(known.roles, roles) && isDeepStrictEqual(known.claims, claims)
}

/** In order, so that no name can stand for another. */
function areSame (known: ReadonlySet<string>, names: readonly string[]): boolean {
  let index = 0
  for (const name of known) if (name !== names[index++]) return false
  return index === names.length
}
