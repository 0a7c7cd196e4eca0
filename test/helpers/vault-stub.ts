import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { json } from 'node:stream/consumers'
import type { Test } from 'tap'
import { listenBare } from './server.ts'

export interface VaultStub {
  readonly url: string
  /** What was asked, as `GET secret/data/orders/signing`. */
  readonly asked: string[]
  /** Tokens that are good. */
  readonly tokens: Set<string>
  /** What Vault says instead of an answer. */
  trouble: number | 'hangs' | undefined
  /** Whether tokens can be renewed. */
  renews: boolean
  leaseSeconds: number
  /** Makes another version. */
  put (path: string, fields: Readonly<Record<string, string>>, deletionTime?: string): void
  remove (path: string): void
  /** Requests that are neither answered nor ended. */
  open (): number
}

interface Version {
  readonly fields: Readonly<Record<string, string>> | null
  readonly number: number
  readonly created: string
  readonly deletionTime: string
}

type Fields = Readonly<Record<string, unknown>>

/** Vault's times are as fine as that. */
const nanoseconds = () => new Date().toISOString().replace('Z', '319214Z')

/** What Vault's own error messages may quote. */
const leaking = (text: string) => ({ errors: [`internal error near "${text}"`] })

/**
 * A stub of Vault's HTTP API, written from its documentation (api-docs: KV version 2, tokens, Kubernetes and AppRole logins, status codes).
 * It is no Vault: it knows one mount, `secret`, and checks no policy.
 */
export async function startVaultStub (t: Test, logins: Readonly<Record<string, Fields>>): Promise<VaultStub> {
  const versions = new Map<string, Version>()
  let waiting = 0
  let made = 0
  const auth = (token: string) => ({
    lease_id: '',
    renewable: false,
    lease_duration: 0,
    data: null,
    auth: {
      client_token: token, accessor: 'accessor', policies: ['default', 'orders'], lease_duration: stub.leaseSeconds, renewable: stub.renews
    }
  })
  const read = (path: string): [number, object] => {
    const version = versions.get(path)
    if (version === undefined) return [404, { errors: [] }]
    const metadata = {
      created_time: version.created,
      custom_metadata: null,
      deletion_time: version.deletionTime,
      destroyed: false,
      version: version.number
    }
    return [version.fields === null ? 404 : 200, { lease_id: '', data: { data: version.fields, metadata } }]
  }
  const answer = async (request: IncomingMessage): Promise<[number, object?]> => {
    const path = request.url?.replace('/v1/', '') ?? ''
    const token = String(request.headers['x-vault-token'])
    stub.asked.push(`${request.method} ${path}`)
    if (request.headers['x-vault-request'] !== 'true') return [400, { errors: ['missing X-Vault-Request'] }]
    if (typeof stub.trouble === 'number') return [stub.trouble, leaking([...versions.values()].map(one => JSON.stringify(one)).join())]
    if (path in logins) {
      if (JSON.stringify(await json(request)) !== JSON.stringify(logins[path])) return [403, { errors: ['permission denied'] }]
      const made = fresh()
      stub.tokens.add(made)
      return [200, auth(made)]
    }
    if (!stub.tokens.has(token)) return [403, { errors: ['permission denied'] }]
    if (path === 'auth/token/renew-self') return stub.renews ? [200, auth(token)] : [400, { errors: ['lease is not renewable'] }]
    if (path === 'auth/token/revoke-self') return stub.tokens.delete(token) ? [204] : [403]
    return read(path.replace('secret/data/', ''))
  }
  const fresh = () => `hvs.cAnArY7x-token-${++made}`
  const serve = async (request: IncomingMessage, response: ServerResponse) => {
    if (stub.trouble === 'hangs') {
      waiting++
      response.once('close', () => { waiting-- })
      return
    }
    const [status, body] = await answer(request)
    response.writeHead(status, { 'content-type': 'application/json' }).end(body === undefined ? undefined : JSON.stringify(body))
  }
  const server = createServer((request, response) => { serve(request, response).catch(() => response.destroy()) })
  server.keepAliveTimeout = 0 // it would end the connection on which a stopped process then asks
  const stub: VaultStub = {
    url: `http://127.0.0.1:${await listenBare(t, server)}`,
    asked: [],
    tokens: new Set(),
    trouble: undefined,
    renews: true,
    leaseSeconds: 3600,
    put: (path, fields, deletionTime = '') => {
      versions.set(path, { fields, number: (versions.get(path)?.number ?? 0) + 1, created: nanoseconds(), deletionTime })
    },
    remove: path => {
      const { number = 1, created = nanoseconds() } = versions.get(path) ?? {}
      versions.set(path, { fields: null, number, created, deletionTime: nanoseconds() })
    },
    open: () => waiting
  }
  return stub
}
