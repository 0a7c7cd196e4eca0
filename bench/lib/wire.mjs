import { Duplex } from 'node:stream'

/**
 * A connection without a socket, in the process of the server: bytes go straight to Node's HTTP parser, and answers end here. What is left
 * is JavaScript and the parser.
 */
export class Wire extends Duplex {
  remoteAddress = '127.0.0.1'
  remotePort = 40_000
  remoteFamily = 'IPv4'
  localAddress = '127.0.0.1'
  answers = 0
  last = ''

  constructor () {
    super({ decodeStrings: false, emitClose: true })
  }

  /** One request; the head of its answer comes in one piece, its body with it or after it. */
  send (bytes) {
    this.emit('data', bytes)
  }

  _read () {}

  _write (chunk, encoding, done) {
    this.#note(chunk)
    done()
  }

  _writev (chunks, done) {
    for (const { chunk } of chunks) this.#note(chunk)
    done()
  }

  setTimeout () {
    return this
  }

  setNoDelay () {
    return this
  }

  setKeepAlive () {
    return this
  }

  address () {
    return { address: '127.0.0.1', port: 80, family: 'IPv4' }
  }

  destroySoon () {
    this.destroy()
  }

  #note (chunk) {
    if (!startsAnswer(chunk)) return
    this.answers++
    this.last = chunk
  }
}

function startsAnswer (chunk) {
  return typeof chunk === 'string' ? chunk.startsWith('HTTP/1.1 ') : chunk[0] === 0x48 && chunk[4] === 0x2f
}
