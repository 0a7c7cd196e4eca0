import { hasBelowObject, type Problems } from '../config/index.ts'
import {
  ownConfig, ownToTheBottom, routeInfo, sameConfig, type Config, type Copies, type Declaration, type Underlay, type RouteInfo
} from './route-info.ts'
import type { CompiledRoute } from './types.ts'

/** What rules by path lay under the `config` of a slot. */
export type Under = (slot: Slot, own: Config) => Underlay | undefined

/** What Fastify itself reads of a route: a control of the application may have a key of this name. */
const fastifys: ReadonlySet<string> = new Set([
  'method', 'url', 'path', 'routePath', 'prefix', 'schema', 'attachValidation', 'validatorCompiler', 'serializerCompiler',
  'schemaErrorFormatter', 'bodyLimit', 'handlerTimeout', 'logLevel', 'logSerializers', 'config', 'version', 'constraints',
  'prefixTrailingSlash', 'exposeHeadRoute', 'handler', 'errorHandler', 'childLoggerFactory', 'onRequest', 'preParsing', 'preValidation',
  'preHandler', 'preSerialization', 'onSend', 'onResponse', 'onTimeout', 'onError', 'onRequestAbort'
])

/** A route. Its `config` counts as Fastify reads it, behind all `onRoute` hooks: those of groups run after ours and may change it. */
export class Slot {
  readonly declaration: Declaration
  readonly early: boolean
  readonly #under: Under
  /** As Fastify shows it to requests: for the `/` of a prefix it makes two routes of one declaration, and shows the first URL for both. */
  readonly #url: string
  #held: Config | undefined
  /** The object that {@link #held} was read from. */
  #source: object | undefined
  #final = false
  #settled: RouteInfo | undefined
  compiled: CompiledRoute | undefined

  constructor (declaration: Declaration, under: Under, early = false) {
    this.declaration = declaration
    this.#under = under
    this.early = early
    this.#url = declaration.url
  }

  /**
   * To be called from `onRoute`: whoever reads `config` last in this turn is Fastify. The caller of `app.get()` may change the
   * object right behind the call, for its next route, and that change counts for nothing here.
   */
  follow (): void {
    // Own, as everything of a route: Fastify would read what somebody put on `Object.prototype`.
    let config = Object.hasOwn(this.declaration, 'config') ? this.declaration.config : undefined
    const get = () => {
      if (!this.#final) this.#take(config)
      return config
    }
    const set = (value: typeof config) => { config = value }
    Reflect.defineProperty(this.declaration, 'config', { configurable: true, enumerable: true, get, set })
    queueMicrotask(() => { this.#hold() })
  }

  #hold (): void {
    if (this.#final) return
    this.#final = true
    try {
      if (this.#held === undefined) this.#take(this.declaration.config)
    } catch {
      // A getter of `config` threw, in Fastify's hands too: the route has not come about. Nobody waits here who could be told.
    }
  }

  #take (config: object | undefined): void {
    this.#source = config
    this.#held = ownConfig(config)
  }

  answers (method: string): boolean {
    const { method: declared } = this.declaration
    return declared === method || (Array.isArray(declared) && declared.includes(method))
  }

  /** As it is now; final once {@link settle} was called. */
  get info (): RouteInfo {
    return this.#settled ?? this.#read()
  }

  /** The URLs under which Fastify answers: `/admin` and `/admin/` for the `/` of a prefix. */
  get urls (): ReadonlySet<string> {
    return new Set([this.#url, this.declaration.url])
  }

  /** When everything is ready: from here on the route stays as it is. What cannot be read is reported, and counts as not stated. */
  settle (keys: readonly string[], copies: Copies, problems: Problems): void {
    this.#hold()
    if (this.#settled !== undefined) return
    const info = this.#read()
    try {
      this.#settled = ownToTheBottom(info, keys, copies)
    } catch (error) {
      problems.add('SECURE_API_OPTION_VALUE', `${info.label}: config`, `it cannot be read: ${String(error)}`, 'Write plain values.')
      this.#settled = Object.freeze({ ...info, config: Object.freeze(ownConfig()) })
    }
  }

  /** Reports what Fastify has not read of the declaration. */
  check (problems: Problems, keys: readonly string[]): void {
    const { label } = this.info
    for (const key of keys.filter(key => isLost(key, this.#source))) {
      problems.add('SECURE_API_OPTION_VALUE', `${label}: config.${key}`,
        'it is inherited or not enumerable; Fastify copies own properties only, so it is lost',
        'Write it as a property of the object: `config: { ... }`.')
    }
    for (const key of keys.filter(key => Object.hasOwn(this.declaration, key) && !fastifys.has(key))) {
      problems.add('SECURE_API_OPTION_UNKNOWN', `${label}: ${key}`, `\`${key}\` stands beside \`config\`, where nothing reads it`,
        `Move it into \`config\`: \`{ config: { ${key}: ... } }\`.`)
    }
    if (this.early && isEverybodys(this.declaration.config)) {
      problems.add('SECURE_API_OPTION_VALUE', label, 'its `config` is what somebody put on `Object.prototype`, which Fastify reads',
        'Find what writes there: most often untrusted JSON is merged.')
    }
    if (this.#held !== undefined && sameConfig(this.#held, ownConfig(this.declaration.config))) return
    problems.add('SECURE_API_ROUTE_CONFIG_LATE', label, 'its `config` was changed after Fastify read it, so the change is lost',
      'Change it in an onRoute hook, before the hook returns.')
  }

  /** Whether Fastify made the route it shows here from this declaration. */
  isOf ({ url, method, config = {} }: Declaration): boolean {
    return this.#url === url && String(this.info.methods) === String(method) && this.#held !== undefined &&
      sameConfig(this.#held, ownConfig(config))
  }

  #read (): RouteInfo {
    const config = this.#held ?? ownConfig(this.declaration.config)
    return routeInfo(this.#url, this.declaration.method, config, this.early, this.#under(this, config))
  }
}

function isEverybodys (config: object | undefined): boolean {
  const everybodys: unknown = Reflect.get(Object.prototype, 'config')
  return typeof everybodys === 'object' && everybodys !== null && sameConfig(ownConfig(config), ownConfig(everybodys))
}

/** Whether the object has the property where `{ ...config }` does not find it. */
function isLost (key: string, config: object | undefined): boolean {
  return config !== undefined && !Object.prototype.propertyIsEnumerable.call(config, key) && hasBelowObject(config, key)
}
