import type { Place } from '../routes/record.ts'

/** A value of the application as plain data: what cannot be sent between processes becomes one of these. */
export type Described = null | boolean | number | string | readonly Described[] | DescribedObject
  | { readonly $function: string, readonly name: string }
  | { readonly $regexp: string }
  | { readonly $instance: string }
export interface DescribedObject { readonly [name: string]: Described }

/** A call of `register`. */
export interface Registration {
  /** As fastify-plugin or the function names it. */
  readonly name: string
  /** The registering call; for what @fastify/autoload registers, the autoloaded file without line. */
  readonly place: Place | undefined
  /** The file of @fastify/autoload that stands for it. */
  readonly autoloaded?: string
  /** Whether all routes are in its scope: the whole application may be a child of the server. */
  readonly root: boolean
  readonly options: Described
}

/** A function that a request meets before the handler. */
export interface Guard {
  readonly phase: string
  /** The name of the function, or of the decorator that it is. */
  readonly name: string
  readonly code: string
  /** The call of `addHook`; absent for a hook of the route itself. */
  readonly place?: Place
  /** `app.authenticate` of a plugin that checks tokens. */
  readonly verifier?: true
  /** What @fastify/auth makes one of: all of them must let the request pass, or any. */
  readonly parts?: { readonly relation: 'and' | 'or', readonly guards: readonly Guard[] }
}

export interface StockRoute {
  readonly methods: readonly string[]
  readonly url: string
  readonly prefix: string
  readonly place: Place | undefined
  readonly handler: string
  /** Whether the handler checks the token itself is seen in it. */
  readonly code: string
  readonly config: readonly string[]
  readonly rateLimit?: Described
  /** Whether it has options of @fastify/helmet. */
  readonly helmet?: true
  readonly instance: readonly Guard[]
  readonly own: readonly Guard[]
}

export interface Decorator {
  /** `app.authenticate`, `request.user`. */
  readonly name: string
  readonly place: Place | undefined
  /** Of one that is a function. */
  readonly code?: string
}

/** All that `init` has to know of an application, in the order in which it happened. */
export interface Stock {
  readonly registrations: readonly Registration[]
  readonly routes: readonly StockRoute[]
  readonly decorators: readonly Decorator[]
  /** Where `setErrorHandler` is called. */
  readonly errorHandlers: readonly (Place | undefined)[]
  /** Where the application adds an `onRoute` hook. */
  readonly routeHooks: readonly (Place | undefined)[]
  /** Whether a request can have come over TLS. */
  readonly secure: boolean
  /** Whether the application has a logger. */
  readonly logs: boolean
  /** Folders that @fastify/autoload reads. */
  readonly autoload: readonly string[]
}
