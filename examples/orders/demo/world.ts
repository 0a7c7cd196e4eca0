import type { FastifyInstance } from 'fastify'
import type { AuditEvent } from '../../../plugins/index.ts'
import { ordersApp } from '../app.ts'
import { startProvider, type RunningProvider, type TokenRequest } from '../provider.ts'

const audience = 'api://orders'

/** Where the demo's front end would be served from. */
export const origin = 'https://app.example.com'

/** The provider, the API it protects, and a caller's pocket of tokens. */
export class World {
  readonly provider: RunningProvider
  readonly api: FastifyInstance
  readonly url: string
  readonly #tokens = new Map<string, string>()
  readonly #events: AuditEvent[]

  private constructor (provider: RunningProvider, api: FastifyInstance, url: string, events: AuditEvent[]) {
    this.provider = provider
    this.api = api
    this.url = url
    this.#events = events
  }

  /** Both servers on free loopback ports. Keys are looked up every second, so that a rotation shows at once. */
  static async start (): Promise<World> {
    const provider = await startProvider({ audience })
    const events: AuditEvent[] = []
    const api = await ordersApp({
      environment: 'development',
      auth: { issuers: [{ issuer: provider.issuer, audience, keys: { refresh: '10 minutes', cooldown: '1 second' } }] },
      cors: { origins: [origin] },
      audit: { sink: event => { events.push(event) } }
    })
    return new World(provider, api, await api.listen({ port: 0, host: '127.0.0.1' }), events)
  }

  /** A token of the provider, asked for once under each name. */
  async token (name: string, request: TokenRequest): Promise<string> {
    const known = this.#tokens.get(name)
    if (known !== undefined) return known
    const token = await this.provider.token(request)
    this.#tokens.set(name, token)
    return token
  }

  /** The event of the request that was just answered; it is written when the response has left, so a moment later. */
  async nextEvent (): Promise<AuditEvent | undefined> {
    for (let waited = 0; this.#events.length === 0 && waited < 500; waited += 5) await pause(5)
    return this.#events.shift()
  }

  async stop (): Promise<void> {
    await this.api.close()
    await this.provider.close()
  }
}

export function pause (ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}
