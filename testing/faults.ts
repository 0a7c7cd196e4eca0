import type { ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { setTimeout as wait } from 'node:timers/promises'

/**
 * What an identity provider does on a bad day.
 *
 * - `down`: connections are cut. `hang`: requests are never answered. `drip`: the true document, one byte every 50 ms.
 * - `html`, `garbage`: status 200 with an HTML page, or with JSON that breaks off. `empty-set`: `{"keys":[]}`.
 * - `redirect`: 302 to a place where the true document is.
 * - `oversize`, or `{ oversize: bytes }`: the true document, made that long by another member; 64 MiB unless said.
 * - `{ status }`: that status, with an HTML page.
 */
export type IssuerFault = 'down' | 'hang' | 'drip' | 'html' | 'garbage' | 'empty-set' | 'redirect' | 'oversize' |
  { readonly oversize: number } | { readonly status: number }

const page = '<!doctype html><title>Sorry</title><h1>Sorry</h1>'

type Answer = (response: ServerResponse, document: object, path: string) => void | Promise<void>

const answers: Readonly<Record<Extract<IssuerFault, string>, Answer>> = {
  down: response => { response.destroy() },
  hang: () => {},
  drip: (response, document) => drip(response, JSON.stringify(document)),
  html: response => send(response, 200, 'text/html', page),
  garbage: (response, document) => send(response, 200, 'application/json', JSON.stringify(document).slice(0, -3)),
  'empty-set': response => send(response, 200, 'application/json', '{"keys":[]}'),
  redirect: (response, _document, path) => { response.writeHead(302, { location: `${path}?moved` }).end() },
  oversize: (response, document) => inflate(response, document, 64 * 1024 * 1024)
}

/** Answers as the fault says, or as it should be. */
export async function answer (fault: IssuerFault | undefined, response: ServerResponse, document: object, path: string): Promise<void> {
  if (fault === undefined) return send(response, 200, 'application/json', JSON.stringify(document))
  if (typeof fault === 'string') return await answers[fault](response, document, path)
  if ('status' in fault) return send(response, fault.status, 'text/html', page)
  await inflate(response, document, fault.oversize)
}

function send (response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) }).end(body)
}

async function drip (response: ServerResponse, body: string): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/json' })
  for (const character of body) {
    if (response.destroyed) return
    response.write(character)
    await wait(50)
  }
  response.end()
}

/** Without a content-length, so that only counting can notice; and no faster than it is read. */
async function inflate (response: ServerResponse, document: object, bytes: number): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/json' })
  await pipeline(padded(JSON.stringify(document).slice(0, -1), bytes), response)
}

function * padded (start: string, bytes: number): Generator<string> {
  const padding = 'x'.repeat(64 * 1024)
  yield `${start},"padding":"`
  for (let sent = 0; sent < bytes; sent += padding.length) yield padding
  yield '"}'
}
