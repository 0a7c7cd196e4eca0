import { connect } from 'node:net'

const END_OF_HEAD = '\r\n\r\n'

/**
 * One connection with one request at a time. Small and plain, so that what is measured is the server.
 */
export class Connection {
  #socket
  #text = ''
  #done = noop
  #closed

  /** @param {{ port: number, localAddress?: string, closed: (connection: Connection) => void }} options */
  constructor ({ port, localAddress, closed }) {
    this.#closed = closed
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true, ...(localAddress === undefined ? undefined : { localAddress }) })
    this.#socket.setEncoding('latin1')
    this.#socket.on('data', text => this.#receive(text))
    this.#socket.on('error', noop)
    this.#socket.on('close', () => this.#closed(this))
  }

  /** @param {Buffer} bytes @param {(status: string) => void} done */
  send (bytes, done) {
    this.#done = done
    this.#socket.write(bytes)
  }

  close () {
    this.#closed = noop
    this.#socket.destroy()
  }

  #receive (text) {
    this.#text = this.#text === '' ? text : this.#text + text
    if (!isComplete(this.#text)) return
    const status = this.#text.slice(9, 12)
    this.#text = ''
    this.#done(status)
  }
}

/** @param {string} text what came so far of one response */
export function isComplete (text) {
  const head = text.indexOf(END_OF_HEAD)
  if (head === -1) return false
  const length = /\r\ncontent-length: *(\d+)/i.exec(text)
  if (length !== null) return text.length >= head + END_OF_HEAD.length + Number(length[1])
  return !/\r\ntransfer-encoding: *chunked/i.test(text) || text.endsWith(`0${END_OF_HEAD}`)
}

function noop () {}
