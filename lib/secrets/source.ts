import { DurationSchema, Type, type Static } from '../config/index.ts'
import type { Secret } from './secret.ts'

/** What a provider knows of one secret. */
export interface SecretValue {
  readonly value: string
  /** Shown in the status. Not a hash of the value. */
  readonly version?: string | undefined
  /** When this value was made. */
  readonly created?: Date | string | undefined
  /** When it ends. */
  readonly expires?: Date | string | undefined
}

/**
 * Where secrets are kept: a vault, a secret manager. One read at a time for each secret, with a deadline of 5 seconds. What it throws is
 * told by its `name`, `code` and status alone, since a message may hold anything.
 */
export interface SecretProvider {
  /** Shown in the status: `'azure'`. */
  readonly name: string
  read (name: string, signal: AbortSignal): Promise<SecretValue>
  /** Called once when the application closes. */
  close? (): void | Promise<void>
}

const looked = {
  /** Who looks after it: a team or a mail address, as `status().secrets` and `secure-api secrets` show it. @default nobody */
  owner: Type.Optional(Type.String()),
  /**
   * How long one value is meant to be used. From 30 days before the end on it is reported as due. The age is that of the file, what the
   * provider says, or for `{ env: 'NAME' }` the date in the variable `NAME_CREATED`.
   * @default nothing is due
   */
  rotateEvery: Type.Optional(DurationSchema),
  /** How often a file or a provider is looked at, from 1 second on. The environment is read once. @default '1 minute' */
  refresh: Type.Optional(DurationSchema),
  /**
   * How long the old value stays good after a change. 0 ends it at once.
   * @default by use: for own tokens their lifetime, for the client of an introspection endpoint and for Redis 5 minutes
   */
  overlap: Type.Optional(DurationSchema),
  /**
   * How long a new value that signs own tokens is only accepted before it signs, so that every instance knows it by then. In Kubernetes a
   * changed Secret takes up to two minutes to reach all pods.
   * @default a little more than one `refresh`, and 0 where `overlap` is 0
   */
  lead: Type.Optional(DurationSchema)
}

/** `secret`: who writes `process.env.NAME` for the name gives the value. */
const env = Type.String({ secret: true, pattern: '^[A-Za-z_]\\w*$', hint: "Write the name of the variable: { env: 'TOKEN_SECRET' }." })

/** Where a secret is, other than in the options. */
export const SecretPlaceSchema = Type.Union([
  Type.Object({
    /** The variable of the environment that holds it. */
    env,
    ...looked
  }),
  Type.Object({
    /** The path of the file that holds it: `/run/secrets/…` of Docker, a volume of Kubernetes, a credential of systemd. */
    file: Type.String(),
    ...looked
  }),
  Type.Object({
    /** What is asked for it: an object with `name` and `read(name, signal)`. */
    provider: Type.Unsafe<SecretProvider>({}),
    /** Its name there. */
    name: Type.String(),
    ...looked
  })
])
export type SecretPlace = Static<typeof SecretPlaceSchema>

const hint = "Write { env: 'NAME' }, { file: '/run/secrets/name' }, { provider, name }, or new Secret(value)."

/** A secret: where it is, or the text itself, which in production has to come from the environment. */
export const SecretSourceSchema = Type.Union(
  [Type.String({ secret: true }), SecretPlaceSchema, Type.Unsafe<Secret>({ type: 'Secret' })], { secretSource: 'text', hint })
export type SecretSource = Static<typeof SecretSourceSchema>

/** A secret that has to be there at once: no provider can be waited for. */
export const SecretNowSchema = Type.Union([
  Type.String({ secret: true }),
  Type.Object({ env, owner: looked.owner }),
  Type.Object({ file: Type.String(), owner: looked.owner }),
  Type.Unsafe<Secret>({ type: 'Secret' })
], { hint: "Write { env: 'NAME' }, { file: '/run/secrets/name' }, or new Secret(value)." })
export type SecretNow = Static<typeof SecretNowSchema>

const places = ['env', 'file', 'provider']

/** Own members only: a client of Redis, and a polluted prototype, have others. */
export function isPlace (value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && places.some(name => Object.hasOwn(value, name)) && !('eval' in value)
}
