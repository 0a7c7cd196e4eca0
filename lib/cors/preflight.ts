import fastifyCors from '@fastify/cors'
import type { FastifyReply } from 'fastify'
import { addVary } from '../http/index.ts'
import { safelistedMethods } from './names.ts'
import type { CorsPolicy } from './policy.ts'

export interface Preflight {
  readonly origin: string
  /** Access-Control-Request-Method. */
  readonly method: string
  /** Access-Control-Request-Headers. */
  readonly headers: string | undefined
}

export type PreflightRefusal = 'origin' | 'method' | 'headers' | 'malformed'

type PreflightDecision = { readonly allowed: true } | { readonly allowed: false, readonly reason: PreflightRefusal }

/** What the response to a preflight depends on, allowed or not. */
export const preflightVary = 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers'

/** Fetch §3.2.3: OPTIONS with both headers. Every other OPTIONS goes to its own handler. */
export function isPreflight (method: string | undefined, headers: Readonly<Record<string, unknown>>): boolean {
  return method === 'OPTIONS' && headers['access-control-request-method'] !== undefined && headers['origin'] !== undefined
}

/** Decides a preflight by the policy of its route. The caller knows whether that route supports the method. */
export function preflight (policy: CorsPolicy, { origin, method, headers }: Preflight): PreflightDecision {
  const reason = refusalOf(policy, origin, method, headers)
  return reason === undefined ? { allowed: true } : { allowed: false, reason }
}

/** The origin first, so that a stranger learns nothing about methods and headers. */
function refusalOf (policy: CorsPolicy, origin: string, method: string, headers: string | undefined): PreflightRefusal | undefined {
  if (!policy.matches(origin)) return 'origin'
  if (!policy.methods.has(method) && !safelistedMethods.includes(method)) return 'method'
  return headers === undefined ? undefined : headersRefusal(policy, headers)
}

/** More than browsers send: each name once, sorted, without spaces (Fetch §4.8 step 4). */
const limits = { length: 4096, names: 100, empty: 16 }

function headersRefusal (policy: CorsPolicy, requested: string): PreflightRefusal | undefined {
  if (requested.length > limits.length) return 'malformed'
  const elements = requested.split(',', limits.names + 1)
  if (elements.length > limits.names) return 'malformed'
  let empty = 0
  for (const element of elements) {
    const name = element.trim().toLowerCase()
    if (name === '') {
      if (++empty > limits.empty) return 'malformed'
    // Fetch §4.8: the wildcard covers every name but Authorization.
    } else if (!policy.requestHeaders.has(name) && !(policy.anyRequestHeader && name !== 'authorization')) return 'headers'
  }
  return undefined
}

const explanations: Readonly<Record<PreflightRefusal, (policy: CorsPolicy, request: Preflight) => string>> = {
  origin: (_, { origin }) => `the origin ${origin} is not in cors.origins`,
  method: (policy, { method }) => `the method ${method} is not among ${policy.allowMethods}`,
  headers: (policy, { headers }) => `the headers ${headers} are not all among ${policy.allowHeaders}`,
  malformed: () => 'Access-Control-Request-Headers is malformed'
}

/** Why a preflight was refused, for `debug` in development and for the audit trail. Never sent in production. */
export function explain (reason: PreflightRefusal, policy: CorsPolicy, request: Preflight): string {
  return explanations[reason](policy, request)
}

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

interface EngineRequest {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
}

type EngineReply = Pick<FastifyReply, 'header' | 'getHeader' | 'code' | 'send'>
type Next = (error?: Error) => void

export function engineOptions (policy: CorsPolicy, origin: string): EngineOptions {
  const { credentials, allowMethods: methods, allowHeaders: allowedHeaders, maxAge } = policy
  return { origin: policy.anyOrigin ? '*' : origin, credentials, methods, allowedHeaders, maxAge, exposedHeaders: null }
}

type Hook = (request: object, reply: EngineReply, next: Next) => void
type Delegator <Request> = (facade: { readonly request: Request }, callback: (error: Error | null, options: EngineOptions) => void) => void

/**
 * Captures the hook of @fastify/cors, so that the pipeline can call it for allowed preflights. On its own, the plugin ignores
 * routes, answers refused origins 204 with its whole configuration, and swallows every other OPTIONS (fastify/fastify-cors#88, #281).
 */
export function createPreflightEngine <R extends EngineRequest> (resolve: (request: R) => EngineOptions) {
  const hook = recordHook<R>(({ request }, callback) => callback(null, resolve(request)))
  return (request: R, reply: EngineReply, next: Next): void => {
    reply.header('vary', addVary(String(reply.getHeader('vary') ?? ''), preflightVary))
    // Hides `config.cors` of the matched route, which the plugin would lay over its options.
    hook({ request, headers: request.headers, raw: { method: 'OPTIONS' }, routeOptions: {} }, reply, next)
  }
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
