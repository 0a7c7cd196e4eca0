import type { FastifyRequest } from 'fastify'
import { ConfigurationError, Problems } from '../config/index.ts'
import type { Violation } from '../headers/index.ts'
import type { HandshakeFailure } from '../server/index.ts'
import { sendProblem, throwProblem } from './answer.ts'
import { compileOrClose, compileRoute, inOrder } from './compile.ts'
import { RouteTable, type RouterOptions } from './route-table.ts'
import type { Answerer } from './run.ts'
import type { CompiledRoute, EdgeAnswer, FailureBudget, RouteInfo, Step } from './types.ts'

/** A route and, once everything is registered, its chain. Kept on the `config` object that Fastify holds for the route. */
class Slot {
  readonly info: RouteInfo
  compiled: CompiledRoute | undefined

  constructor (info: RouteInfo) {
    this.info = info
  }
}

const unknownRoute: RouteInfo = Object.freeze({ kind: 'unknown', early: false, methods: [], url: '', config: {}, label: 'unknown route' })

/** Holds the steps of all plugins of one scope and the chain of every route there. */
export class Pipeline {
  readonly #mark = Symbol('secure-api.route')
  readonly #steps: Step[] = []
  readonly #slots: Slot[] = []
  readonly #reports = new Map<string, () => unknown>()
  readonly #overlapping: () => readonly Pipeline[]
  readonly #table: RouteTable
  #unknown: CompiledRoute | undefined
  answer: Answerer = sendProblem
  /** Set by the limiter, where there is one. */
  failures: FailureBudget | undefined
  /** What CORS adds to answers that no hook sees; set by the CORS plugin, where there is one. */
  originHeaders: (origin: string | undefined) => readonly (readonly [name: string, value: string])[] = () => []
  /** Told of answers that no hook sees; set by the audit trail, where there is one. */
  onEdgeAnswer: (answer: EdgeAnswer) => void = () => {}
  /** Told of clients whose certificate was refused; set by the audit trail, where there is one. */
  onHandshakeFailure: ((failure: HandshakeFailure) => void) | undefined

  /** Told of violations that browsers report; set by the audit trail, where there is one. */
  onViolation: (request: FastifyRequest, violation: Violation) => void = (request, violation) => {
    request.log.warn({ violation }, 'secure-api: a browser reports a violation of the Content-Security-Policy')
  }

  /**
   * @param overlapping the pipelines that requests of this one meet too: those of enclosing and of enclosed scopes.
   * @param router the router options of the application.
   */
  constructor (overlapping: () => readonly Pipeline[] = () => [], router: RouterOptions = {}) {
    this.#overlapping = overlapping
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

  /**
   * From `onRoute`. Throws the route's mistakes where it is declared, before anything listens.
   * @returns the `config` by which the chain is found again.
   */
  declare (info: RouteInfo): Record<string | symbol, unknown> {
    const problems = new Problems()
    compileRoute(info, this.#steps, problems)
    problems.throwIfAny()
    return { ...info.config, [this.#mark]: this.#slot(info) }
  }

  /** When every plugin is registered: compiles all declared routes, so that requests only look their chain up. */
  compile (problems: Problems): void {
    for (const slot of this.#slots) slot.compiled = compileRoute(slot.info, this.#steps, problems)
    this.#unknown = compileRoute(unknownRoute, this.#steps, problems)
  }

  /** The chain of the route with this `config`, if it is known. */
  find (config: object): CompiledRoute | undefined {
    const slot = (config as Record<symbol, unknown>)[this.#mark]
    return slot instanceof Slot ? slot.compiled : undefined
  }

  /**
   * Compiles a route at its first request, because `onRoute` never saw it: it was declared before the suite.
   * Its mistakes are handed to `onMistake`, and its chain then ends in a refusal.
   */
  admit (config: object, info: RouteInfo, onMistake: (problems: Problems) => void): CompiledRoute {
    const problems = new Problems()
    const slot = this.#slot(info)
    slot.compiled = compileOrClose(info, this.#steps, problems)
    if (problems.any) onMistake(problems)
    Object.defineProperty(config, this.#mark, { value: slot })
    return slot.compiled
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

  #slot (info: RouteInfo): Slot {
    const slot = new Slot(info)
    this.#slots.push(slot)
    this.#table.add(info)
    return slot
  }
}
