import type { FastifyRequest } from 'fastify'
import { ConfigurationError, Problems } from '../config/index.ts'
import type { Violation } from '../headers/index.ts'
import type { HandshakeFailure } from '../server/index.ts'
import { sendProblem, throwProblem } from './answer.ts'
import { compileOrClose, compileRoute, inOrder } from './compile.ts'
import type { PathRules } from './path-rules.ts'
import { sameConfig, type Declaration } from './route-info.ts'
import { RouteTable, type RouterOptions } from './route-table.ts'
import type { Answerer } from './run.ts'
import { Slot, type Under } from './slot.ts'
import type { CompiledRoute, EdgeAnswer, FailureBudget, RouteInfo, Step } from './types.ts'

const unknownRoute: RouteInfo = Object.freeze({ kind: 'unknown', early: false, methods: [], url: '', config: Object.freeze(Object.create(null)), label: 'unknown route' })

/** Holds the steps of all plugins of one scope and the chain of every route there. */
export class Pipeline {
  readonly #mark = Symbol('secure-api.route')
  readonly #steps: Step[] = []
  readonly #slots: Slot[] = []
  #paths: PathRules | undefined
  /** URLs of routes that were declared before the suite. */
  #earlier: readonly string[] = []
  readonly #reports = new Map<string, () => unknown>()
  readonly #overlapping: () => readonly Pipeline[]
  readonly #table: RouteTable
  #unknown: CompiledRoute | undefined
  answer: Answerer = sendProblem
  /** Set by the limiter, where there is one. */
  failures: FailureBudget | undefined
  /** What CORS adds to answers that no hook sees; set by the CORS plugin, where there is one. */
  originHeaders: (origin: string | undefined) => readonly (readonly [name: string, value: string])[] = () => []
  /** Called at the first request to each route, and at each that matches none; set by the plugin for errors, where there is one. */
  onFirst: (request: FastifyRequest) => void = () => {}
  /** Told of answers that no hook sees; set by the audit trail, where there is one. */
  onEdgeAnswer: (answer: EdgeAnswer) => void = () => {}
  /** Told of clients whose certificate was refused; set by the audit trail, where there is one. */
  onHandshakeFailure: ((failure: HandshakeFailure) => void) | undefined

  /** Told of violations that browsers report; set by the audit trail, where there is one. */
  onViolation: (request: FastifyRequest, violation: Violation) => void = (request, violation) => {
    request.log.warn({ violation }, 'secure-api: a browser reports a violation of the Content-Security-Policy')
  }

  /** How the application's router reads URLs. */
  readonly router: RouterOptions

  /**
   * @param overlapping the pipelines that requests of this one meet too: those of enclosing and of enclosed scopes.
   * @param router the router options of the application.
   */
  constructor (overlapping: () => readonly Pipeline[] = () => [], router: RouterOptions = {}) {
    this.#overlapping = overlapping
    this.router = router
    this.#table = new RouteTable(router)
  }

  /** Whether refusals are sent as problem documents, or thrown to the application's error handler. */
  answerBy (mode: 'problem' | 'throw'): void {
    this.answer = mode === 'throw' ? throwProblem : sendProblem
  }

  get sendsProblems (): boolean {
    return this.answer === sendProblem
  }

  add (step: Step): void {
    if ([this, ...this.#overlapping()].some(pipeline => pipeline.has(step.name))) {
      throw new ConfigurationError([{
        code: 'SECURE_API_ALREADY_REGISTERED',
        path: step.name,
        why: 'it is registered already, here or in an enclosing or enclosed scope, and would run twice',
        fix: 'Register it once, at the root.'
      }])
    }
    this.#steps.push(step)
  }

  has (name: string): boolean {
    return this.#steps.some(step => step.name === name)
  }

  /** Adds a plugin's part to `app.secureApi.status()`. */
  report (name: string, status: () => unknown): void {
    this.#reports.set(name, status)
  }

  status (): Record<string, unknown> {
    return Object.fromEntries([...this.#reports].map(([name, status]) => [name, status()]))
  }

  /** Names of the registered steps, in the order in which a request meets them. */
  get steps (): readonly string[] {
    return inOrder(this.#steps).map(({ name }) => name)
  }

  /** Every route that is known: those declared after the suite, and earlier ones once a request has shown them. */
  get routes (): readonly RouteInfo[] {
    return this.#slots.map(({ info }) => info)
  }

  /** The known routes that a request with this method and URL would meet. */
  routesAt (method: string, url: string): readonly RouteInfo[] {
    return this.#table.at(method, url)
  }

  /** The methods of the known routes for this URL. */
  methodsAt (url: string): readonly string[] {
    return this.#table.methodsAt(url)
  }

  /** Route options by path; set by the authorization plugin, where it is given some. */
  layUnder (paths: PathRules): void {
    this.#paths = paths
  }

  /** From `onRoute`. The hooks behind it may still change the route: its options are read, and judged, when everything is ready. */
  declare (declaration: Declaration): void {
    const slot = this.#add(new Slot(declaration, this.#under))
    slot.follow()
    queueMicrotask(() => { slot.hold() })
  }

  /** The route that was declared with this object, as far as it is known. */
  declared (declaration: object): RouteInfo | undefined {
    return this.#slots.find(slot => slot.isDeclaredBy(declaration))?.info
  }

  /**
   * When every plugin is registered: compiles all declared routes, so that requests only look their chain up.
   * @param earlier URLs of routes that were declared before the suite.
   */
  compile (problems: Problems, earlier: readonly string[] = []): void {
    this.#earlier = earlier
    for (const slot of this.#slots) {
      slot.settle(this.#keys)
      this.#list(slot)
    }
    for (const slot of this.#slots) {
      const found = this.#repeats(slot) ? new Problems() : problems
      slot.check(found, this.#keys)
      slot.compiled = compileRoute(slot.info, this.#steps, found)
    }
    this.#unknown = compileRoute(unknownRoute, this.#steps, problems)
    this.#refuseUnmatched(problems, earlier)
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
    this.#unknown ??= compileRoute(unknownRoute, this.#steps, new Problems())
    return this.#unknown
  }

  /** What every step does on a route. */
  posture (info: RouteInfo): Readonly<Record<string, unknown>> {
    return Object.assign({}, ...inOrder(this.#steps).map(step => step.posture?.(info)))
  }

  /** The chain of a route, for reports. */
  chain (info: RouteInfo): CompiledRoute {
    return compileRoute(info, this.#steps, new Problems())
  }

  /** The route options that the controls read. */
  get #keys (): readonly string[] {
    return this.#steps.flatMap(({ keys = [] }) => keys)
  }

  #compileLate (slot: Slot, onMistake: (label: string, problems: Problems) => void): CompiledRoute {
    const problems = new Problems()
    slot.settle(this.#keys)
    slot.check(problems, this.#keys)
    const { info } = slot
    this.#list(slot)
    slot.compiled = compileOrClose(info, this.#steps, problems)
    if (problems.any) onMistake(info.label, problems)
    return slot.compiled
  }

  readonly #under: Under = (slot, own) => this.#paths?.under(this.#answeredBy(slot), own)

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
    return String(methods) === 'HEAD' && this.#slots.some(({ info }) => info.url === url && info.methods.includes('GET') && sameConfig(info.config, config))
  }

  #refuseUnmatched (problems: Problems, earlier: readonly string[]): void {
    const urls = [...this.#slots.flatMap(({ urls }) => [...urls]), ...earlier]
    for (const pattern of this.#paths?.unmatched(urls) ?? []) {
      problems.add('SECURE_API_ROUTE_PATTERN_UNMATCHED', `authorization.routes['${pattern}']`, 'no route has this path, so that the rule guards nothing',
        'Write the path as the route was declared, with its prefix and parameters (`/orders/:id`), or end it in `/*` for everything below.')
    }
  }

  #list ({ info, urls }: Slot): void {
    for (const url of urls) this.#table.add(info, url)
  }

  #add (slot: Slot): Slot {
    this.#slots.push(slot)
    return slot
  }
}
