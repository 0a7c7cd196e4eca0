import fastifyCors from '@fastify/cors'
import { addVary } from '../http/index.ts'
import type { CorsPolicy } from './policy.ts'
import { allowOrigin, preflightVary } from './preflight.ts'

/** What @fastify/cors is told for one preflight that the policy has allowed: texts it writes as they are. */
export interface EngineOptions {
  readonly origin: string
  readonly credentials: boolean
  readonly methods: string
  readonly allowedHeaders: string
  /** Seconds. */
  readonly maxAge: number
  readonly exposedHeaders: null
}

/** The part of a Fastify request that the engine reads. */
export interface EngineRequest {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
}

/** The part of a Fastify reply that the engine uses. */
export interface EngineReply {
  header (name: string, value: string): unknown
  getHeader (name: string): unknown
  code (status: number): unknown
  send (payload?: unknown): unknown
}

export type PreflightEngine <Request extends EngineRequest> = (request: Request, reply: EngineReply, next: (error?: Error) => void) => void

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

type Hook = (request: object, reply: EngineReply, next: (error?: Error) => void) => void
type Delegator <Request> = (facade: { readonly request: Request }, callback: (error: Error | null, options: EngineOptions) => void) => void

/**
 * Takes the hook that @fastify/cors would add to an instance, so that the pipeline can call it for the preflights its
 * own policy has allowed. On its own the plugin is blind to routes, answers 204 to refused origins with its whole
 * configuration, and swallows every other OPTIONS (fastify/fastify-cors#88, #281).
 */
export function createPreflightEngine <Request extends EngineRequest> (resolve: (request: Request) => EngineOptions): PreflightEngine<Request> {
  const hook = recordHook<Request>(({ request }, callback) => callback(null, resolve(request)))
  return (request, reply, next) => {
    reply.header('vary', addVary(String(reply.getHeader('vary') ?? ''), preflightVary))
    hook(facade(request), reply, next)
  }
}

/** The plugin would lay `config.cors` of the matched route, which has our shape, over the options: it sees none. */
function facade <Request extends EngineRequest> (request: Request): object {
  return { request, headers: request.headers, raw: { method: 'OPTIONS' }, routeOptions: {} }
}

function recordHook <Request> (delegator: Delegator<Request>): Hook {
  const hooks: Hook[] = []
  const instance = { decorateRequest: () => {}, options: () => {}, addHook: (_: string, hook: Hook) => { hooks.push(hook) } }
  const register = fastifyCors as unknown as (on: typeof instance, options: { delegator: Delegator<Request> }, done: (error?: Error) => void) => void
  register(instance, { delegator }, error => { if (error !== undefined) throw error })
  const [hook] = hooks
  if (hook === undefined || hooks.length > 1) throw new TypeError('@fastify/cors did not add the one hook that was expected of it')
  return hook
}
