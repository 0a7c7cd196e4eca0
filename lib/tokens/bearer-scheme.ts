import type { FastifyRequest } from 'fastify'
import { readBearer, readToken, type Failed, type Judged, type Scheme } from '../credentials/index.ts'
import { bearerChallenge } from '../http/index.ts'
import type { Connection, TokenAuthenticator } from './authenticator.ts'

type Unreadable = Extract<ReturnType<typeof readBearer>, `SECURE_API_${string}`>

const failures: Readonly<Record<Unreadable, Failed>> = {
  SECURE_API_CREDENTIAL_AMBIGUOUS: { kind: 'failed', code: 'SECURE_API_CREDENTIAL_AMBIGUOUS' },
  SECURE_API_CREDENTIAL_DPOP: { kind: 'failed', code: 'SECURE_API_CREDENTIAL_DPOP' }
}

/** Bearer tokens of RFC 6750. One that was seen before is only looked up: no cryptography, no promise. */
export class BearerScheme implements Scheme {
  readonly credentials: readonly string[]
  readonly challenge = bearerChallenge('none', '')
  readonly ambient = false
  readonly #authenticator: TokenAuthenticator
  readonly #read: typeof read

  /** @param header where the token stands, as a whole; then no other is read. Lower case. @default Authorization */
  constructor (authenticator: TokenAuthenticator, header?: string) {
    this.credentials = authenticator.credentials
    this.#authenticator = authenticator
    this.#read = header === undefined ? read : ({ raw, headers }) => readToken(raw.rawHeaders, header, headers[header], raw.url ?? '')
  }

  isPresent (request: FastifyRequest): boolean {
    return this.#read(request) !== 'none'
  }

  judge (request: FastifyRequest): Judged {
    const given = this.#read(request)
    if (given === 'none') return undefined
    if (typeof given === 'string') return failures[given]
    const authenticator = this.#authenticator
    const known = authenticator.lookup(given.token, connectionOf(request.raw))
    if (known instanceof Promise || known.kind !== 'unknown') return known
    return { kind: 'unverified', verify: () => authenticator.authenticate(known) }
  }
}

function read ({ raw, headers }: FastifyRequest): ReturnType<typeof readBearer> {
  return readBearer(raw.rawHeaders, headers.authorization, raw.url ?? '')
}

/** The socket, where it belongs to one caller at a time; over HTTP/2 it is a façade that many streams share. */
function connectionOf ({ httpVersionMajor, socket }: FastifyRequest['raw']): Connection | undefined {
  return httpVersionMajor === 1 ? socket as object as Connection : undefined
}
