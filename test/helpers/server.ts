import { once } from 'node:events'
import { request, type IncomingHttpHeaders, type IncomingMessage, type Server } from 'node:http'
import { connect, type AddressInfo, type Server as NetServer } from 'node:net'
import type { Duplex } from 'node:stream'
import { text } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'
import Fastify, { type FastifyInstance, type FastifyServerOptions, type InjectOptions, type LightMyRequestResponse } from 'fastify'
import type { Test } from 'tap'
import secureApi, { type AuditEvent, type ConfigurationError, type SecureApiOptions } from '../../plugins/index.ts'
import { createTestIssuer, type TestIssuer, type TestIssuerOptions } from '../../testing/index.ts'

type Scope = Pick<Test, 'teardown'>

/** A test issuer that ends with the test. */
export async function startIssuer (t: Scope, options?: TestIssuerOptions): Promise<TestIssuer> {
  const issuer = await createTestIssuer(options)
  t.teardown(() => issuer.close())
  return issuer
}

/** A Fastify instance that ends with the test. */
export function startFastify (t: Scope, options: FastifyServerOptions<Server> = {}): FastifyInstance {
  const app: FastifyInstance = Fastify(options)
  t.teardown(() => app.close())
  return app
}

export interface Secured {
  readonly app: FastifyInstance
  /** The audit trail so far. */
  readonly events: AuditEvent[]
}

interface SecuredOptions {
  readonly suite?: SecureApiOptions
  readonly fastify?: FastifyServerOptions<Server>
  readonly routes?: (app: FastifyInstance) => void | Promise<void>
}

/** The suite in front of `routes`, for tokens of this issuer. */
export async function secured (t: Scope, issuer: TestIssuer, { suite = {}, fastify = {}, routes }: SecuredOptions = {}): Promise<Secured> {
  const events: AuditEvent[] = []
  const app = startFastify(t, fastify)
  await app.register(secureApi, {
    auth: { issuer: issuer.issuer, audience: issuer.audience },
    audit: { sink: event => { events.push(event) } },
    environment: 'development',
    ...suite
  })
  await routes?.(app)
  await app.ready()
  return { app, events }
}

/** The Authorization header of a fresh token. */
export function bearer (issuer: TestIssuer, ...claims: Parameters<TestIssuer['sign']>): { authorization: string } {
  return { authorization: `Bearer ${issuer.sign(...claims)}` }
}

export async function listen (app: FastifyInstance): Promise<string> {
  return await app.listen({ port: 0, host: '127.0.0.1' })
}

/** The `code` of a problem+json body; undefined for anything else, and for the answer to HEAD, which has none. */
export function codeOf (response: Pick<LightMyRequestResponse, 'headers' | 'body'>): unknown {
  if (!String(response.headers['content-type']).startsWith('application/problem+json') || response.body === '') return undefined
  return JSON.parse(response.body).code
}

/** Status and code of the answer to each request, one after the other. Of a 404 the status says it all. */
export async function answersOf (app: FastifyInstance, ...requests: InjectOptions[]): Promise<unknown[]> {
  const answers: unknown[] = []
  for (const request of requests) {
    const response = await app.inject(request)
    const code = codeOf(response)
    answers.push(code === undefined || code === 'SECURE_API_NOT_FOUND' ? response.statusCode : [response.statusCode, code])
  }
  return answers
}

/** The codes of the mistakes that stop this from starting, sorted; none if it starts. */
export async function mistakesOf (start: () => PromiseLike<unknown>): Promise<string[]> {
  try {
    await start()
    return []
  } catch (error) {
    return codesOf(error)
  }
}

export function codesOf (error: unknown): string[] {
  if (!(error instanceof AggregateError)) throw error
  return (error as ConfigurationError).errors.map(({ code }) => code).sort()
}

/** Sends these bytes to the server and reads until it closes. */
export async function sendRaw (url: string, ...lines: string[]): Promise<string> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  socket.end(lines.join('\r\n'))
  return await text(socket)
}

/** Headers that the suite puts on every response. */
export const securityHeaders: readonly string[] = [
  'content-security-policy', 'x-content-type-options', 'referrer-policy', 'cross-origin-resource-policy', 'x-frame-options'
]

/** Those of them that are missing. */
export function missingHeaders (headers: Readonly<Record<string, unknown>>): string[] {
  return securityHeaders.filter(name => headers[name] === undefined)
}

export interface RawAnswer {
  readonly statusCode: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** A request whose header lines are sent as they are, also when a name comes twice: `['Authorization', 'a', 'Authorization', 'b']`. */
export async function sendLines (url: string, lines: readonly string[], method = 'GET'): Promise<RawAnswer> {
  const { host } = new URL(url)
  const outgoing = request(url, { method, headers: ['Host', host, 'Connection', 'close', ...lines] })
  outgoing.end()
  const [response] = await once(outgoing, 'response') as [IncomingMessage]
  return { statusCode: response.statusCode ?? 0, headers: response.headers, body: await text(response) }
}

/** Asks again every few milliseconds until the answer is the right one. */
export async function until (right: () => boolean | Promise<boolean>, what: string, most = 180_000): Promise<void> {
  const end = Date.now() + most
  while (!await right()) {
    if (Date.now() > end) throw new Error(`${what} did not come`)
    await setTimeout(10)
  }
}

/** The port of a server of Node's own, which ends with the test whatever its connections do. */
export async function listenBare (t: Scope, server: NetServer): Promise<number> {
  const open = new Set<Duplex>()
  server.on('connection', (socket: Duplex) => open.add(socket.on('error', () => {})))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of open) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}
