import { subscribe } from 'node:diagnostics_channel'
import type { FastifyInstance, RouteOptions } from 'fastify'
import { placeOf, type Place } from '../routes/record.ts'
import { describe } from './describe.ts'
import { tokenVerifiers } from './replaced.ts'
import type { Decorator, Guard, StockRoute } from './types.ts'

/** What happened at a server while it was put together. */
export interface Watched {
  readonly registrations: SeenRegistration[]
  readonly routes: Array<Omit<StockRoute, 'instance'> & { readonly scope: object }>
  readonly hooks: SeenHook[]
  readonly decorators: Decorator[]
  readonly errorHandlers: Array<Place | undefined>
  readonly routeHooks: Array<Place | undefined>
  /** When each child scope was made. */
  readonly scopes: Map<object, number>
}

export interface SeenRegistration {
  readonly plugin: unknown
  readonly options: unknown
  readonly place: Place | undefined
  readonly scope: object
}

export interface SeenHook {
  readonly guard: Guard
  readonly scope: object
  readonly order: number
}

type Callable = (...parts: unknown[]) => unknown

const watched = new WeakMap<object, Watched>()
const phases = ['onRequest', 'preParsing', 'preValidation', 'preHandler'] as const
/** Decorators that are functions, by function: a hook is called as the application calls it. */
const decoratorNames = new WeakMap<object, string>()
/** Those of a plugin that checks tokens: its code says nothing of what it calls. */
const verifiers = new WeakSet<object>()
/** What `app.auth([...])` of @fastify/auth made, by the function that it returned. */
const compositions = new WeakMap<object, { readonly relation: 'and' | 'or', readonly functions: readonly unknown[] }>()

/** Watches every server that is created from now on; see `recordRoutes`. */
export function watchApplication (): void {
  subscribe('fastify.initialization', message => watch((message as { fastify: FastifyInstance }).fastify))
}

export function watchedOf (app: object): Watched | undefined {
  return watched.get(app)
}

function watch (app: FastifyInstance): void {
  const seen: Watched = { registrations: [], routes: [], hooks: [], decorators: [], errorHandlers: [], routeHooks: [], scopes: new Map() }
  watched.set(app, seen)
  let order = 0
  app.addHook('onRegister', instance => { seen.scopes.set(instance, order++) })
  app.addHook('onRoute', function noteRoute (route) { seen.routes.push({ ...routeOf(route, this), scope: this }) })
  before(app, 'register', function (plugin, options) {
    // A copy: plugins take away what they have read.
    const given = typeof options === 'object' && options !== null ? { ...options } : options
    seen.registrations.push({ plugin, options: given, place: here(), scope: this })
  })
  before(app, 'addHook', function (phase, hook) {
    if (phase === 'onRoute') seen.routeHooks.push(here())
    if (!phases.some(known => known === phase) || typeof hook !== 'function') return
    const place = here()
    seen.hooks.push({ guard: { ...guardOf(String(phase), hook), ...(place && { place }) }, scope: this, order: order++ })
  })
  before(app, 'setErrorHandler', () => { seen.errorHandlers.push(here()) })
  watchDecorators(app, seen)
}

const targets = { decorate: 'app', decorateRequest: 'request', decorateReply: 'reply' } as const

function watchDecorators (app: FastifyInstance, { decorators }: Watched): void {
  for (const [method, target] of Object.entries(targets)) {
    before(app, method, (name, value) => {
      const place = here()
      const isFunction = typeof value === 'function'
      decorators.push({ name: `${target}.${String(name)}`, place, ...(isFunction && { code: String(value) }) })
      if (isFunction && target === 'app') noteFunction(String(name), value, place)
      // An application's own `auth` is a hook like any other.
      const composes = name === 'auth' && target === 'app' && isMadeBy(['@fastify/auth'], place)
      return composes && typeof value === 'function' ? [name, composing(value as Callable)] : undefined
    })
  }
}

function noteFunction (name: string, value: object, place: Place | undefined): void {
  decoratorNames.set(value, name)
  if (/authenticate$/i.test(name) && isMadeBy(tokenVerifiers, place)) verifiers.add(value)
}

function isMadeBy (packages: readonly string[], place: Place | undefined): boolean {
  return packages.some(name => place?.file.replaceAll('\\', '/').includes(`/node_modules/${name}/`))
}

/** Sees the call first; what `note` returns are the arguments instead of those given. */
function before (app: FastifyInstance, method: string, note: (this: object, ...parts: unknown[]) => unknown[] | void): void {
  const original = Reflect.get(app, method) as Callable
  Reflect.set(app, method, function (this: object, ...parts: unknown[]) {
    const instead = note.apply(this, parts)
    return Reflect.apply(original, this, instead === undefined ? parts : [...instead, ...parts.slice(instead.length)])
  })
}

/** `app.auth` that remembers what its hooks are made of. */
function composing (auth: Callable): Callable {
  return function (this: unknown, ...parts: unknown[]) {
    const [functions, options] = parts
    // It binds the functions in their own list.
    const given: unknown = Array.isArray(functions) ? functions.map((part: unknown) => Array.isArray(part) ? [...part] : part) : undefined
    const made = Reflect.apply(auth, this, parts)
    const relation = (options as { relation?: unknown } | undefined)?.relation === 'and' ? 'and' : 'or'
    if (typeof made === 'function' && Array.isArray(given)) compositions.set(made, { relation, functions: given })
    return made
  }
}

/** The place in the application that called what calls this. */
function here (): Place | undefined {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 50
  const { stack = '' } = new Error()
  Error.stackTraceLimit = limit
  return placeOf(stack)
}

function routeOf (route: RouteOptions, scope: FastifyInstance): Omit<StockRoute, 'instance'> {
  const config: object = route.config ?? {}
  const rateLimit: unknown = Reflect.get(config, 'rateLimit')
  return {
    methods: [route.method].flat(),
    url: route.url,
    prefix: scope.prefix,
    place: here(),
    handler: route.handler.name,
    code: String(route.handler),
    config: Object.keys(config).filter(key => key !== 'url' && key !== 'method'),
    ...(rateLimit !== undefined && { rateLimit: describe(rateLimit) }),
    ...('helmet' in route && { helmet: true }),
    own: phases.flatMap(phase => [route[phase] ?? []].flat().map(hook => guardOf(phase, hook)))
  }
}

function guardOf (phase: string, hook: object): Guard {
  const composed = compositions.get(hook)
  const parts = composed?.functions.map(part => partOf(phase, part, composed.relation))
  const name: unknown = decoratorNames.get(hook) ?? Reflect.get(hook, 'name')
  return {
    phase,
    name: String(name),
    code: String(hook),
    ...(verifiers.has(hook) && { verifier: true }),
    ...(composed && parts && { parts: { relation: composed.relation, guards: parts } })
  }
}

/** @fastify/auth takes lists in its list, which are joined by the other relation. */
function partOf (phase: string, part: unknown, relation: 'and' | 'or'): Guard {
  const inverse = relation === 'and' ? 'or' : 'and'
  if (typeof part === 'function') return guardOf(phase, part)
  const parts: readonly unknown[] = Array.isArray(part) ? part : []
  return { phase, name: '', code: '', parts: { relation: inverse, guards: parts.map(inner => partOf(phase, inner, inverse)) } }
}
