import { inspect } from 'node:util'

const HIDDEN = '[secret]'

/** Where a value came from that the application got itself, and who looks after it. Both are shown. */
export interface SecretAbout {
  /** Such as `'keychain'`. @default 'application' */
  readonly source?: string
  /** A team or a mail address. */
  readonly owner?: string
}

/**
 * A text that nothing prints: not a log, not JSON, not an error, not a template. In the options it says that the application got the
 * value itself, at run time: it is no literal of the source.
 *
 * @example
 * const signing = new Secret(await readFromKeychain('orders-signing'), { owner: 'team-orders@example.com' })
 * await app.register(secureApi, { auth: { ownTokens: { issuer, audience, secret: signing } } })
 */
export class Secret {
  readonly #text: string
  readonly source: string
  readonly owner: string | undefined

  constructor (text: string, about: SecretAbout = {}) {
    // Own members only, whatever somebody put on `Object.prototype`.
    const { source = 'application', owner } = { source: undefined, owner: undefined, ...about }
    if (typeof text !== 'string') throw new TypeError('a Secret holds a text')
    this.#text = text
    this.source = source
    this.owner = owner
  }

  /** The value itself. Hand it to what needs it, and keep it nowhere. */
  reveal (): string {
    return this.#text
  }

  /** Calls a function with the value, and returns what that returns. */
  use<Result> (take: (text: string) => Result): Result {
    return take(this.reveal())
  }

  toString (): string {
    return HIDDEN
  }

  toJSON (): string {
    return HIDDEN
  }

  [Symbol.toPrimitive] (): string {
    return HIDDEN
  }

  [inspect.custom] (): string {
    return HIDDEN
  }

  /** What the schemas know it by. */
  get [Symbol.toStringTag] (): string {
    return 'Secret'
  }
}

/** The text of an option that has been read; undefined for a source that could not be read, and for anything else. */
export function textOf (given: unknown): string | undefined {
  if (typeof given === 'string') return given
  return given instanceof Secret ? given.reveal() : undefined
}
