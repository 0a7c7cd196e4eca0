import http, { type ClientRequest, type IncomingMessage } from 'node:http'
import https from 'node:https'
import { isIP, type Socket } from 'node:net'
import tls, { type PeerCertificate } from 'node:tls'
import { FetchFailure } from './failure.ts'

/** How documents are reached. */
export interface Route extends ClientCertificate {
  /** A proxy for https addresses; a name and a password in it are sent to it. */
  readonly proxy?: URL
  /** Which addresses are reached without it. */
  readonly direct?: (target: URL) => boolean
  /** PEM of the trusted authorities, in place of those that Node trusts. */
  readonly ca?: readonly string[]
  /** Told of the certificate that the target has shown, when it has answered. */
  readonly onPeer?: OnPeer
}

export type OnPeer = (host: string, certificate: PeerCertificate) => void

/** PEM of the certificate shown to the target, never to the proxy (RFC 8705 §2). */
export interface ClientCertificate {
  readonly cert?: string
  readonly key?: string
}

/** What is sent. */
export interface Message {
  /** Over those of every request. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Makes it `POST`. */
  readonly form?: string | undefined
}

/** What one exchange has opened. Its end destroys all of that, and whatever is added later. */
export class Connections {
  readonly #opened: { destroy (): unknown }[] = []
  #ended = false

  add <Opened extends { destroy (): unknown }> (opened: Opened): Opened {
    if (this.#ended) opened.destroy()
    this.#opened.push(opened)
    return opened
  }

  end (): void {
    this.#ended = true
    for (const opened of this.#opened) opened.destroy()
  }
}

const headers = {
  accept: 'application/json, application/jwk-set+json',
  'accept-encoding': 'identity',
  'user-agent': 'fastify-secure-api'
}

/** Sends one request to the address, and waits for the head of the answer. */
export async function send (url: string, route: Route, connections: Connections, message: Message = {}): Promise<IncomingMessage> {
  const { proxy, direct, ca, cert, key } = route
  const target = parse(url)
  const trust = ca === undefined ? {} : { ca: [...ca] }
  const shown = { ...trust, ...(cert === undefined ? {} : { cert, key }) }
  const head = headOf(message)
  const exchange = (outgoing: ClientRequest) => response(connections.add(outgoing), message.form)
  // `agent: false`: a connection of its own, so that a dead one in a pool cannot fail the attempt.
  if (target.protocol !== 'https:') return await exchange(http.request(target, { agent: false, ...head }))
  const straight = proxy === undefined || direct?.(target) === true
  if (straight) return await exchange(https.request(target, { agent: false, ...head, ...shown }))
  return await throughTunnel({ target, proxy, trust, connections }, tunnel => {
    const secured = connections.add(tls.connect({ socket: tunnel, ...nameOf(target), ...shown, ALPNProtocols: ['http/1.1'] }))
    return exchange(https.request(target, { ...head, createConnection: () => secured }))
  })
}

function headOf ({ headers: more, form }: Message) {
  return form === undefined
    ? { headers: { ...headers, ...more } }
    : { method: 'POST', headers: { ...headers, 'content-type': 'application/x-www-form-urlencoded', ...more } }
}

function response (outgoing: ClientRequest, form: string | undefined): Promise<IncomingMessage> {
  outgoing.end(form)
  return new Promise((resolve, reject) => {
    outgoing.once('response', resolve)
    // Stays for the whole exchange: destroying a request may emit an error later.
    outgoing.on('error', reject)
    outgoing.once('close', () => reject(new FetchFailure('transport')))
  })
}

function parse (url: string): URL {
  try {
    return new URL(url)
  } catch (cause) {
    throw new FetchFailure('url', { cause })
  }
}

interface Tunnel {
  readonly target: URL
  readonly proxy: URL
  readonly trust: { readonly ca?: string[] }
  readonly connections: Connections
}

/** RFC 9110 §9.3.6. The proxy sees the name of the provider and ciphertext. `use` runs at once: nothing of the socket is missed. */
function throughTunnel ({ target, proxy, trust, connections }: Tunnel, use: (tunnel: Socket) => Promise<IncomingMessage>) {
  const authority = `${target.hostname}:${portOf(target)}`
  const { request } = proxy.protocol === 'https:' ? https : http
  const connecting = connections.add(request({
    // The name for TLS is stated: Node would take that of the `host` field, which is the target's.
    ...nameOf(proxy),
    port: portOf(proxy),
    ...trust,
    method: 'CONNECT',
    path: authority,
    headers: { host: authority, ...authorization(proxy) },
    agent: false
  }))
  return new Promise<IncomingMessage>((resolve, reject) => {
    connecting.on('error', cause => reject(new FetchFailure('proxy', { cause })))
    connecting.once('close', () => reject(new FetchFailure('proxy')))
    connecting.once('connect', ({ statusCode = 0 }, socket, head) => {
      connections.add(socket)
      socket.on('error', () => {})
      // A TLS server never speaks first: early bytes are the proxy's.
      if (statusCode < 200 || statusCode > 299 || head.length > 0) reject(new FetchFailure('proxy', { status: statusCode }))
      else resolve(use(socket as Socket))
    })
    connecting.end()
  })
}

function portOf ({ port, protocol }: URL): number {
  if (port !== '') return Number(port)
  return protocol === 'https:' ? 443 : 80
}

/** RFC 6066 §3: an address is not a server name; certificates are then compared with `host`. */
function nameOf ({ hostname }: URL): { host: string, servername: string } {
  const host = hostname.replace(/^\[|\]$/g, '')
  return { host, servername: isIP(host) === 0 ? host : '' }
}

function authorization ({ username, password }: URL): { 'proxy-authorization'?: string } {
  if (username === '' && password === '') return {}
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return { 'proxy-authorization': `Basic ${Buffer.from(credentials).toString('base64')}` }
}
