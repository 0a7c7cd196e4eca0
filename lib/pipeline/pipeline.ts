import type { FastifyRequest } from 'fastify'
import { Problems, Type, type Schema } from '../config/index.ts'
import type { HealthCheck } from '../health/index.ts'
import { Marks } from '../marks/index.ts'
import { throwProblem, writeProblem } from './answer.ts'
import { closeRoute, compileRoute } from './compile.ts'
import { keysOf, statedOf, type RouteOption } from './option.ts'
import type { PathRules } from './path-rules.ts'
import { phases } from './phases.ts'
import { sameConfig, type Declaration, type RouteInfo } from './route-info.ts'
import { RouteTable, type RouterOptions } from './route-table.ts'
import type { Answerer } from './run.ts'
import { Slot, type Under } from './slot.ts'
import type { CompiledRoute, Control, Measure } from './types.ts'

const nothing = Object.freeze(Object.create(null))
const unknownRoute: RouteInfo = Object.freeze({
  kind: 'unknown', early: false, methods: [], url: '', config: nothing, label: 'unknown route'
})

/** It inherits nothing: a polluted `Object.prototype.paths` lays no rule under any route. */
function bare <Kept extends object> (given: Kept): Readonly<Kept> {
  return Object.freeze(Object.assign(Object.create(null), given))
}

/** What the frame itself is offered. Plugins add what controls offer each other. */
export interface FramePorts {
  /** Whether refusals are sent as problem documents, or thrown to the application's error handler. @default 'problem' */
  readonly answers?: 'problem' | 'throw'
  /** Route options by path. */
  readonly paths?: PathRules
  /** Lays a measurement round each step, where somebody wants to know what it takes. */
  readonly measure?: Measure
  /** Called at the first request to each route, and at each that matches none. */
  readonly onFirst?: (request: FastifyRequest) => void
}

/** Holds the controls of one scope and the chain of every route there. */
export class Pipeline<Ports extends FramePorts = FramePorts> {
  readonly #mark = Symbol('secure-api.route')
  readonly #claims = new Set<string>()
  #controls: readonly Control[] = []
  #ports: Readonly<Partial<Ports>> = nothing
  readonly #slots: Slot[] = []
  readonly #copies = new Marks<object, object>()
  readonly #reports = new Map<string, () => unknown>()
  readonly #checks = new Map<string, HealthCheck>()
  readonly #overlapping: () => readonly Pipeline<Ports>[]
  readonly #table: RouteTable
  #unknown: CompiledRoute | undefined
  #ready = false
  /** URLs of routes that were declared before the suite. */
  #earlier: readonly string[] = []

  /** How the application's router reads URLs. */
  readonly router: RouterOptions

  /** `overlapping`: the pipelines that requests of this one meet too, those of enclosing and of enclosed scopes. */
  constructor (overlapping: () => readonly Pipeline<Ports>[] = () => [], router: RouterOptions = {}) {
    this.#overlapping = overlapping
    this.router = router
    this.#table = new RouteTable(router)
  }

  /** What controls offer each other. Complete, and read-only, when everything is ready. */
  get ports (): Readonly<Partial<Ports>> {
    return this.#ports
  }

  /** Offers something to the other controls, each port once, until everything is ready. */
  offer (ports: Partial<Ports>): void {
    const taken = Object.keys(ports).filter(name => name in this.#ports)
    if (this.#ready) throw new TypeError('ports are offered before the application is ready')
    if (taken.length > 0) throw new TypeError(`offered twice: ${taken.join(', ')}`)
    this.#ports = bare({ ...this.#ports, ...ports })
  }

  get answer (): Answerer {
    return this.#ports.answers === 'throw' ? throwProblem : writeProblem
  }

  get sendsProblems (): boolean {
    return this.#ports.answers !== 'throw'
  }

  add <Own> (control: Control<Own>): void {
    this.claim(control.name)
    this.#controls = [...this.#controls, bare(control as Control)].sort((a, b) => phases.indexOf(a.phase) - phases.indexOf(b.phase))
  }

  /** Refuses a second plugin of this name, here and in every scope around or inside. */
  claim (name: string): void {
    const problems = new Problems()
    if ([this, ...this.#overlapping()].some(pipeline => pipeline.has(name))) {
      problems.add('SECURE_API_ALREADY_REGISTERED', name,
        'it is already registered, here or in an enclosing or enclosed scope, and would run twice', 'Register it once, at the root.')
    }
    problems.throwIfAny()
    this.#claims.add(name)
  }

  has (name: string): boolean {
    return this.#claims.has(name)
  }

  /** Whether requests to this route meet a control of this name, here or in an enclosing or enclosed scope. */
  isMetBy (name: string, { url, methods }: RouteInfo): boolean {
    return this.has(name) || this.#overlapping().some(other => other !== this && other.has(name) &&
      other.#slots.some(({ info }) => info.url === url && String(info.methods) === String(methods)))
  }

  /** Adds a plugin's part to `app.secureApi.status()`. */
  report (name: string, status: () => unknown): void {
    this.#reports.set(name, status)
  }

  /** Adds a plugin's part to readiness: a sentence where it cannot do its work. */
  watch (name: string, check: HealthCheck): void {
    this.#checks.set(name, check)
  }

  get checks (): ReadonlyMap<string, HealthCheck> {
    return this.#checks
  }

  status (): Record<string, unknown> {
    return Object.fromEntries([...this.#reports].map(([name, status]) => [name, status()]))
  }

  /** The registered controls, in the order in which a request meets them. */
  get controls (): readonly Control[] {
    return this.#controls
  }

  /** The route options that the controls read, as one schema. */
  get schema (): Schema {
    const schemas = this.#options.flatMap(({ schemas }) => Object.entries(schemas).map(([key, schema]) => [key, Type.Optional(schema)]))
    return Type.Object(Object.fromEntries(schemas))
  }

  get keys (): readonly string[] {
    return keysOf(this.#options)
  }

  /** Every route that is known: those declared after the suite, and earlier ones once a request has shown them. */
  get routes (): readonly CompiledRoute[] {
    return this.#slots.map(slot => this.#compiled(slot))
  }

  /** The known routes that a request with this method and URL would meet. */
  routesAt (method: string, url: string): readonly CompiledRoute[] {
    return this.#table.at(method, url).map(slot => this.#compiled(slot))
  }

  /** The methods of the known routes for this URL. */
  methodsAt (url: string): readonly string[] {
    return this.#table.methodsAt(url)
  }

  /** From `onRoute`. The hooks behind it may still change the route: its options are read, and judged, when everything is ready. */
  declare (declaration: Declaration): void {
    this.#add(new Slot(declaration, this.#under)).follow()
  }

  /** The route that was declared with this object, as far as it is known. */
  declared (declaration: object): CompiledRoute | undefined {
    const slot = this.#slots.find(known => known.declaration === declaration)
    return slot && this.#compiled(slot)
  }

  /** When all plugins are registered: compiles the declared routes. `earlier`: URLs of routes that were declared before the suite. */
  async compile (problems: Problems, earlier: readonly string[] = []): Promise<void> {
    this.#ready = true
    this.#earlier = earlier
    for (const slot of this.#slots) this.#settle(slot, problems)
    for (const option of new Set(this.#options)) await this.#prepare(option, problems)
    for (const slot of this.#slots) {
      const found = this.#repeats(slot) ? new Problems() : problems
      slot.check(found, this.keys)
      slot.compiled = this.#compile(slot.info, found)
    }
    this.#unknown = this.#compile(unknownRoute, problems)
    this.#refuseUnmatched(problems, earlier)
  }

  async #prepare (option: RouteOption, problems: Problems): Promise<void> {
    try {
      await option.prepare?.(this.#slots.map(({ info }) => statedOf(option, info.config)))
    } catch (error) {
      problems.add('SECURE_API_OPTION_VALUE', `config.${Object.keys(option.schemas).join(', ')}`, `it cannot be prepared: ${String(error)}`,
        'Correct what `prepare` loads.')
    }
  }

  /** The chain of the route with this `config`, if a request has shown it before. */
  find (config: object): CompiledRoute | undefined {
    const slot = (config as Record<symbol, unknown>)[this.#mark]
    return slot instanceof Slot ? slot.compiled : undefined
  }

  /**
   * At the first request to a route: finds the declaration that Fastify made it from. Where there is none, it was declared
   * before the suite, and is compiled now. Its mistakes are handed to `onMistake`, and its chain then ends in a refusal.
   */
  admit (route: Declaration & { readonly config: object }, onMistake: (label: string, problems: Problems) => void): CompiledRoute {
    const slot = this.#slots.find(known => known.isOf(route)) ?? this.#add(new Slot(route, this.#under, true))
    Object.defineProperty(route.config, this.#mark, { value: slot })
    return slot.compiled ?? this.#compileLate(slot, onMistake)
  }

  /** The chain of requests that match no route. */
  get unknown (): CompiledRoute {
    this.#unknown ??= this.#compile(unknownRoute)
    return this.#unknown
  }

  /** What every control does on a route. */
  posture ({ info, own }: CompiledRoute): Readonly<Record<string, unknown>> {
    const parsed = this.#controls.filter(({ option }) => option === undefined || own.has(option))
    return Object.assign({}, ...parsed.map(control => control.posture?.(control.option && own.get(control.option), info)))
  }

  get #options (): readonly RouteOption[] {
    return this.#controls.flatMap(({ option }) => option ?? [])
  }

  /** Before everything is ready a route may still change: what is made of it then is not kept. */
  #compiled (slot: Slot): CompiledRoute {
    return slot.compiled ?? this.#compile(slot.info)
  }

  #compile (info: RouteInfo, problems: Problems = new Problems()): CompiledRoute {
    return compileRoute(info, this.#controls, problems, this.#ports.measure)
  }

  #compileLate (slot: Slot, onMistake: (label: string, problems: Problems) => void): CompiledRoute {
    const problems = new Problems()
    this.#settle(slot, problems)
    const isTold = problems.clean(found => { slot.check(found, this.keys) })
    const compiled = this.#compile(slot.info, problems)
    slot.compiled = isTold ? compiled : closeRoute(compiled)
    if (problems.any) onMistake(slot.info.label, problems)
    return slot.compiled
  }

  readonly #under: Under = (slot, own) => this.#ports.paths?.under(this.#answeredBy(slot), own)

  /**
   * For the `/` of a prefix Fastify makes two routes: of GET in one declaration, of HEAD in one each, and of those declared before
   * the suite it shows the first URL alone. One rule holds for all of them.
   */
  #answeredBy (slot: Slot): ReadonlySet<string> {
    const { urls } = slot
    const gets = slot.answers('HEAD') ? this.#slots.filter(other => other.answers('GET') && [...other.urls].some(url => urls.has(url))) : []
    const twins = [...urls].flatMap(url => [`${url}/`, url.replace(/\/$/, '')]).filter(url => slot.early && this.#earlier.includes(url))
    return new Set([...urls, ...gets.flatMap(other => [...other.urls]), ...twins])
  }

  /** Fastify declares a HEAD route for each GET, with the same options: its mistakes would be told twice. */
  #repeats (slot: Slot): boolean {
    const { methods, url, config } = slot.info
    return String(methods) === 'HEAD' && this.#slots.some(({ info }) => info.url === url && info.methods.includes('GET') &&
      sameConfig(info.config, config))
  }

  #refuseUnmatched (problems: Problems, earlier: readonly string[]): void {
    const urls = [...this.#slots.flatMap(({ urls }) => [...urls]), ...earlier]
    const unmatched = this.#ports.paths?.unmatched(urls) ?? []
    for (const pattern of unmatched) {
      const path = `authorization.routes['${pattern}']`
      problems.add('SECURE_API_ROUTE_PATTERN_UNMATCHED', path, 'no route has this path, so the rule guards nothing',
        'Write the path as the route was declared, with its prefix and parameters (`/orders/:id`), or end it in `/*` for everything below.')
    }
    for (const slot of this.#slots) this.#refuseInside(slot, unmatched, problems)
  }

  /** A route for `/uploads/*` that has the rule of a pattern answers below `/uploads/private/*` too, unless another route does. */
  #refuseInside (slot: Slot, told: readonly string[], problems: Problems): void {
    const { url, methods, source, label } = slot.info
    if (source === undefined || !url.endsWith('*')) return
    for (const { written, isOf } of this.#ports.paths?.inside(url) ?? []) {
      const own = this.#slots.filter(({ urls }) => isOf(urls)).flatMap(({ info }) => info.methods)
      if (told.includes(written) || methods.every(method => own.includes(method))) continue
      if (this.#repeats(slot) && !own.includes('GET')) continue // told of its GET
      problems.add('SECURE_API_ROUTE_PATTERN_UNMATCHED', `authorization.routes['${written}']`,
        `requests below it meet ${label}, so its rule does not guard them`,
        'Let the plugin declare a route for each file (`wildcard: false` of @fastify/static), register it once for each part, ' +
          `or declare a route of your own for \`${written}\`, and for each of its methods.`)
    }
  }

  #settle (slot: Slot, problems: Problems): void {
    slot.settle(this.keys, this.#copies, problems)
    for (const url of slot.urls) this.#table.add(slot, url)
  }

  #add (slot: Slot): Slot {
    this.#slots.push(slot)
    return slot
  }
}
