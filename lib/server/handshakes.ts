import type { Socket } from 'node:net'
import type { Server as TlsServer, TLSSocket } from 'node:tls'

/** A rejected client certificate. */
export interface HandshakeFailure {
  /** The code of OpenSSL or Node, such as `CERT_REVOKED`: a fixed list, nothing of the certificate. */
  readonly error: string
  readonly address: string | undefined
  /** How many were not reported since the previous one. */
  readonly suppressed: number
}

/** `handshakes` of `app.secureApi.status()`, since the start. */
interface HandshakeStatus {
  /** All failed handshakes: scanners, old clients, certificates, and callers who left. */
  readonly failed: number
  /** Those without a valid client certificate. */
  readonly refused: number
}

export interface HandshakeOptions {
  readonly tell: (failure: HandshakeFailure) => void
  /** Epoch milliseconds. */
  readonly now: () => number
  /** How many are reported per minute; the others are counted. @default 60 */
  readonly perMinute?: number
}

const MINUTE = 60_000
/** OpenSSL's code for a client without a certificate. Other causes are on the socket. */
const noCertificate = 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE'

/** Sees failed handshakes, which no hook does. A flood of them must not become a flood of events. */
export class HandshakeWatch {
  readonly #options: HandshakeOptions
  #failed = 0
  #refused = 0
  #suppressed = 0
  #told = 0
  #since = -Infinity

  constructor (options: HandshakeOptions) {
    this.#options = options
  }

  watch (server: TlsServer, askForAddress: boolean): void {
    // Node closes the socket before it reports a refused certificate; an address read earlier is cached.
    if (askForAddress) server.prependListener('connection', (socket: Socket) => { Reflect.get(socket, 'remoteAddress') })
    server.on('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) => { this.#failure(error, socket) })
  }

  status (): HandshakeStatus {
    return { failed: this.#failed, refused: this.#refused }
  }

  #failure ({ code }: NodeJS.ErrnoException, socket: TLSSocket): void {
    this.#failed++
    const error = code === noCertificate ? code : findingOf(socket)
    if (error === undefined) return
    this.#refused++
    if (this.#mayTell()) {
      this.#options.tell({ error, address: addressOf(socket), suppressed: this.#suppressed })
      this.#suppressed = 0
    } else this.#suppressed++
  }

  #mayTell (): boolean {
    const { now, perMinute = 60 } = this.#options
    const time = now()
    if (time - this.#since >= MINUTE) {
      this.#since = time
      this.#told = 0
    }
    return this.#told++ < perMinute
  }
}

/** Declared as an Error, but Node sets its code. */
function findingOf ({ authorizationError }: { readonly authorizationError: unknown }): string | undefined {
  return typeof authorizationError === 'string' ? authorizationError : undefined
}

function addressOf (socket: TLSSocket & { readonly _parent?: Socket | null }): string | undefined {
  return socket.remoteAddress ?? socket._parent?.remoteAddress
}
