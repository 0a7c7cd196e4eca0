import type { Server } from 'node:http'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import type { Test } from 'tap'
import type { AuditEvent, SecureApiOptions } from '../../../plugins/index.ts'
import { bearer, codeOf, listen, missingHeaders, secured, startIssuer, until } from '../../helpers/server.ts'

export interface Answer {
  readonly status: number
  readonly code: unknown
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export interface Neighbourhood {
  readonly app: FastifyInstance
  readonly events: readonly AuditEvent[]
  /** The Authorization header of a caller with the scope `api`. */
  readonly caller: { readonly authorization: string }
  /** Asks over a socket. Fails the test where one of our headers is missing, whatever the answer. */
  ask (path: string, init?: RequestInit): Promise<Answer>
}

interface Options {
  readonly suite?: Partial<SecureApiOptions>
  readonly fastify?: FastifyServerOptions<Server>
}

/** The suite, and beside it a popular plugin as its README shows it, over a real socket. */
export async function beside (t: Test, routes: (app: FastifyInstance) => void | Promise<void>,
  options: Options = {}): Promise<Neighbourhood> {
  const issuer = await startIssuer(t)
  const { app, events } = await secured(t, issuer, { ...options, routes })
  const url = await listen(app)
  return { app, events, caller: bearer(issuer, { scope: 'api' }), ask: asking(t, url) }
}

export function asking (t: Test, url: string): Neighbourhood['ask'] {
  return async (path, init = {}) => {
    const response = await fetch(url + path, { redirect: 'manual', ...init })
    const headers = Object.fromEntries(response.headers)
    const body = await response.text()
    t.strictSame(missingHeaders(headers), [], `headers of ${init.method ?? 'GET'} ${path}: ${response.status}`)
    return { status: response.status, code: codeOf({ headers, body }), headers, body }
  }
}

/** What each neighbour must leave as it is: strangers are refused, callers are let in and counted, and both are audited. */
export async function keepsGuard (t: Test, { ask, caller, events }: Pick<Neighbourhood, 'ask' | 'caller' | 'events'>, path: string,
  init: () => RequestInit = () => ({})): Promise<Answer> {
  const as = (headers: object): RequestInit => ({ ...init(), headers: { ...init().headers as object, ...headers } })
  const before = events.length
  const stranger = await ask(path, as({}))
  t.strictSame([stranger.status, stranger.code], [401, 'SECURE_API_UNAUTHENTICATED'], 'a stranger')
  const first = await ask(path, as(caller))
  const second = await ask(path, as(caller))
  t.strictSame([first.status, second.status], [200, 200], 'a caller')
  t.equal(remaining(second), remaining(first) - 1, 'each request is counted')
  // A caller may have its answer before the server knows that it has been sent.
  await until(() => events.length >= before + 3, 'the three events')
  t.strictSame(events.slice(before).map(({ outcome, status }) => [outcome, status]), [['denied', 401], ['allowed', 200], ['allowed', 200]],
    'the trail')
  return second
}

function remaining ({ headers }: Answer): number {
  return Number(/;r=(\d+)/.exec(headers.ratelimit ?? '')?.[1])
}
