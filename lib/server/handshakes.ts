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

interface HandshakeOptions {
  readonly tell: (failure: HandshakeFailure) => void
  /** Epoch milliseconds. */
  readonly now: () => number
}

const MINUTE = 60_000
/** How many are reported per minute; the others are counted. */
const perMinute = 60
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

  #failure ({ code }: NodeJS.ErrnoException, socket: TLSSocket & { readonly _parent?: Socket | null }): void {
    this.#failed++
    // Declared as an Error, but Node sets its code.
    const error: unknown = code === noCertificate ? code : socket.authorizationError
    if (typeof error !== 'string') return
    this.#refused++
    if (this.#mayTell()) {
      this.#options.tell({ error, address: socket.remoteAddress ?? socket._parent?.remoteAddress, suppressed: this.#suppressed })
      this.#suppressed = 0
    } else this.#suppressed++
  }

  #mayTell (): boolean {
    const time = this.#options.now()
    if (time - this.#since >= MINUTE) {
      this.#since = time
      this.#told = 0
    }
    return this.#told++ < perMinute
  }
}
