import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { callerToken, type CallerKind, type TestCaller } from './callers.ts'
import { testTime } from './clock.ts'
import { answer, type IssuerFault } from './faults.ts'
import { OpaqueTokens } from './opaque.ts'
import type { CallerRequest, SignOptions, TestIssuer, TestIssuerOptions } from './issuer-types.ts'
import { TestKey, type TestAlgorithm } from './keys.ts'

/**
 * A real identity provider on a loopback port, for tests: metadata, a key set, access tokens, and every way in which
 * such a provider fails.
 *
 * @example
 * const issuer = await createTestIssuer()
 * await app.register(secureApi, { auth: issuer.auth, environment: 'development' })
 * const response = await app.inject({ url: '/orders', ...issuer.asUser({ scopes: ['api.read'] }) })
 * await issuer.close()
 */
export async function createTestIssuer (options: TestIssuerOptions = {}): Promise<TestIssuer> {
  const issuer = new LoopbackIssuer(options)
  await issuer.listen(options.port ?? 0)
  return issuer
}

type Document = 'discovery' | 'jwks' | 'introspection'

class LoopbackIssuer implements TestIssuer {
  readonly audience: string | string[]
  readonly hits = { discovery: 0, jwks: 0, introspection: 0 }
  readonly introspection = { client: { id: 'test-api', secret: randomUUID() } }
  issuer = ''
  jwksUri = ''
  readonly #options: TestIssuerOptions
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #keys: TestKey[] = []
  #published: TestKey[] = []
  #current: TestKey
  #override: object | undefined
  #metadata: Readonly<Record<string, unknown>> = {}
  #faults: Partial<Record<Document, IssuerFault>> = {}
  #delay = 0
  #bytesClosed = 0
  #documents: ReadonlyMap<string, Document> = new Map()
  readonly #opaque = new OpaqueTokens(this.introspection.client)

  constructor (options: TestIssuerOptions) {
    this.#options = options
    this.audience = options.audience ?? 'api://test'
    this.#server = createServer((request, response) => { this.#serve(request, response).catch(() => response.destroy()) })
    this.#server.keepAliveTimeout = 0 // after a pause of its machine it would end the connection on which a test asks just then
    this.#server.on('connection', socket => this.#track(socket))
    this.#current = this.#add('key-1')
  }

  async listen (port: number): Promise<void> {
    this.#server.listen(port, '127.0.0.1')
    await once(this.#server, 'listening')
    const { path = '', discovery = 'openid-configuration' } = this.#options
    const origin = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
    const bare = path.replace(/\/$/, '')
    this.issuer = `${origin}${path}`
    this.jwksUri = `${origin}${bare}/jwks`
    const wellKnown = discovery === 'oauth-authorization-server' ? `/.well-known/${discovery}${bare}` : `${bare}/.well-known/${discovery}`
    this.#documents = new Map<string, Document>([
      [`${bare}/jwks`, 'jwks'], [wellKnown, 'discovery'], [`${bare}/introspect`, 'introspection']
    ])
  }

  get jwks () {
    return { keys: this.#published.map(key => key.jwk) }
  }

  get auth () {
    const { preset } = this.#options
    return { issuer: this.issuer, audience: this.audience, ...(preset === undefined ? undefined : { preset }) }
  }

  get env () {
    return { NODE_ENV: 'test', SECURE_API_ISSUER: this.issuer, SECURE_API_AUDIENCE: [this.audience].flat().join(',') } as const
  }

  get bytesSent (): number {
    return [...this.#sockets].reduce((sum, { bytesWritten }) => sum + bytesWritten, this.#bytesClosed)
  }

  sign (claims: Readonly<Record<string, unknown>> = {}, { kid, alg, typ = 'at+jwt', header }: SignOptions = {}): string {
    const key = this.#signer(kid, alg)
    return key.sign({ alg: key.alg, typ, kid: key.kid, ...header }, { ...this.#claims(), ...this.#options.claims, ...claims })
  }

  opaque (claims: Readonly<Record<string, unknown>> = {}): string {
    const standard = { ...this.#claims(), jti: undefined, token_type: 'Bearer' }
    return this.#opaque.issue({ ...standard, ...this.#options.claims, ...claims }, testTime)
  }

  revoke (token: string): void {
    this.#opaque.revoke(token)
  }

  asUser (caller: TestCaller = {}): CallerRequest {
    return this.#request('user', caller)
  }

  asService (caller: TestCaller = {}): CallerRequest {
    return this.#request('service', caller)
  }

  rotate ({ alg, kid = `key-${this.#keys.length + 1}` }: { readonly alg?: TestAlgorithm, readonly kid?: string } = {}): string {
    this.#current = this.#add(kid, alg)
    return kid
  }

  remove (kid: string): void {
    this.#published = this.#published.filter(key => key.kid !== kid)
  }

  publish (jwks?: object): void {
    this.#override = jwks
  }

  metadata (changes: Readonly<Record<string, unknown>>): void {
    this.#metadata = changes
  }

  down (): void {
    this.fail('down')
    for (const socket of this.#sockets) socket.destroy()
  }

  fail (fault: IssuerFault, on?: Document): void {
    this.#faults = on === undefined ? { discovery: fault, jwks: fault, introspection: fault } : { ...this.#faults, [on]: fault }
  }

  slow (ms: number): void {
    this.#delay = ms
  }

  up (): void {
    this.#faults = {}
    this.#delay = 0
  }

  async close (): Promise<void> {
    for (const key of this.#keys.splice(0)) key.giveBack()
    const closed = new Promise(resolve => this.#server.close(resolve))
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  async [Symbol.asyncDispose] (): Promise<void> {
    await this.close()
  }

  #request (kind: CallerKind, caller: TestCaller): CallerRequest {
    const { claims, typ } = callerToken(kind, caller, this.audience, this.#options.preset)
    return { headers: { authorization: `Bearer ${this.sign({ ...claims }, { header: { typ } })}` } }
  }

  #track (socket: Socket): void {
    this.#sockets.add(socket)
    socket.once('close', () => {
      this.#bytesClosed += socket.bytesWritten
      this.#sockets.delete(socket)
    })
  }

  async #serve (request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [path = '', query] = (request.url ?? '').split('?')
    const document = this.#documents.get(path)
    if (document === undefined) return await answer({ status: 404 }, response, {}, path)
    this.hits[document]++
    if (this.#delay > 0) await wait(this.#delay)
    const fault = query === 'moved' ? undefined : this.#faults[document]
    if (document === 'discovery') return await answer(fault, response, this.#describe(), path)
    if (document === 'jwks') return await answer(fault, response, this.#override ?? this.jwks, path)
    const reply = await this.#opaque.look(request)
    await answer(fault ?? (reply === undefined ? { status: 401 } : undefined), response, reply ?? {}, path)
  }

  #describe (): object {
    return {
      issuer: this.issuer,
      jwks_uri: this.jwksUri,
      introspection_endpoint: this.jwksUri.replace(/jwks$/, 'introspect'),
      response_types_supported: ['code'],
      subject_types_supported: ['public'],
      ...this.#metadata
    }
  }

  #claims () {
    const now = Math.floor(testTime() / 1000)
    return { iss: this.issuer, aud: this.audience, sub: 'test-user', client_id: 'test-client', iat: now, exp: now + 300, jti: randomUUID() }
  }

  #signer (kid: string | undefined, alg: TestAlgorithm | undefined): TestKey {
    if (kid === undefined && alg === undefined) return this.#current
    const candidates = kid === undefined ? this.#published : this.#keys
    const key = candidates.findLast(key => (kid ?? key.kid) === key.kid && (alg ?? key.alg) === key.alg)
    if (key !== undefined) return key
    if (kid !== undefined) throw new Error(`no key ${kid} here; for a token with a foreign kid: sign(claims, { header: { kid } })`)
    return this.#add(`key-${this.#keys.length + 1}`, alg)
  }

  #add (kid: string, alg: TestAlgorithm = this.#options.alg ?? 'RS256'): TestKey {
    const key = new TestKey(kid, alg)
    this.#keys.push(key)
    this.#published.push(key)
    return key
  }
}
