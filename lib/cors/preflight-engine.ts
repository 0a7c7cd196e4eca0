import fastifyCors from '@fastify/cors'
import { addVary } from '../http/index.ts'
import type { CorsPolicy } from './policy.ts'
import { allowOrigin, preflightVary } from './preflight.ts'

/** Options of @fastify/cors for one allowed preflight; it writes the values unchanged. */
interface EngineOptions {
  readonly origin: string
  readonly credentials: boolean
  readonly methods: string
  readonly allowedHeaders: string
  /** Seconds. */
  readonly maxAge: number
  readonly exposedHeaders: null
}

/** The part of a Fastify request that the engine reads. */
interface EngineRequest {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
}

/** The part of a Fastify reply that the engine uses. */
interface EngineReply {
  header (name: string, value: string): unknown
  getHeader (name: string): unknown
  code (status: number): unknown
  send (payload?: unknown): unknown
}

type Next = (error?: Error) => void
type PreflightEngine <Request extends EngineRequest> = (request: Request, reply: EngineReply, next: Next) => void

export function engineOptions (policy: CorsPolicy, origin: string): EngineOptions {
  return {
    origin: allowOrigin(policy, origin),
    credentials: policy.credentials,
    methods: policy.allowMethods,
    allowedHeaders: policy.allowHeaders,
    maxAge: policy.maxAge,
    exposedHeaders: null
  }
}

type Hook = (request: object, reply: EngineReply, next: Next) => void
type Delegator <Request> = (facade: { readonly request: Request }, callback: (error: Error | null, options: EngineOptions) => void) => void

/**
 * Captures the hook of @fastify/cors, so that the pipeline can call it for allowed preflights. On its own, the plugin ignores
 * routes, answers refused origins 204 with its whole configuration, and swallows every other OPTIONS (fastify/fastify-cors#88, #281).
 */
export function createPreflightEngine <R extends EngineRequest> (resolve: (request: R) => EngineOptions): PreflightEngine<R> {
  const hook = recordHook<R>(({ request }, callback) => callback(null, resolve(request)))
  return (request, reply, next) => {
    reply.header('vary', addVary(String(reply.getHeader('vary') ?? ''), preflightVary))
    hook(facade(request), reply, next)
  }
}

/** Hides `config.cors` of the matched route, which the plugin would lay over its options. */
function facade <Request extends EngineRequest> (request: Request): object {
  return { request, headers: request.headers, raw: { method: 'OPTIONS' }, routeOptions: {} }
}

function recordHook <Request> (delegator: Delegator<Request>): Hook {
  const hooks: Hook[] = []
  const instance = { decorateRequest: () => {}, options: () => {}, addHook: (_: string, hook: Hook) => { hooks.push(hook) } }
  const register = fastifyCors as unknown as (on: typeof instance, options: { delegator: Delegator<Request> }, done: Next) => void
  register(instance, { delegator }, error => { if (error !== undefined) throw error })
  const [hook] = hooks
  if (hook === undefined || hooks.length > 1) throw new TypeError('@fastify/cors did not add exactly one hook')
  return hook
}
