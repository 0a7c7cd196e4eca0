import type { FastifyInstance, FastifyPluginAsync, RouteOptions } from 'fastify'
import { defineSection, type ConfigurationCode } from '../lib/config/index.ts'
import { metadataUrls } from '../lib/keys/index.ts'
import {
  basePaths, extension, extensionOf, fieldsOf, isOpenApi3, OpenApiOptionsSchema, secureDocument, templateOf, toYaml, type Access,
  type DocumentOptions, type Fields, type OpenApiOptions, type Operation, type RouteFacts
} from '../lib/openapi/index.ts'
import { Marks } from '../lib/marks/index.ts'
import type { CompiledRoute } from '../lib/pipeline/index.ts'
import { issuersOf, type AuthenticationOptions } from '../lib/authentication/index.ts'
import { compileIssuer, type IssuerOptions } from '../lib/tokens/index.ts'
import { pageConfigs, ruleForPages } from './openapi-pages.ts'
import { pipelineOf } from './pipeline.ts'
import type { Frame } from './ports.ts'
import { contextOf } from './fastify-internals.ts'
import { suitePlugin } from './suite-plugin.ts'
import { warn } from './warn.ts'

/** The decorator of @fastify/swagger. */
type Generate = (options?: { yaml?: boolean }) => unknown
type Describe = (generate: Generate) => Fields | undefined

type Settings = Omit<DocumentOptions, 'authenticates' | 'bodies' | 'credentials' | 'apiKeyHeader'>

export const openApiSection = defineSection<OpenApiOptions, Settings>({
  key: 'openapi',
  schema: OpenApiOptionsSchema,
  rules (options, path, problems) {
    for (const [index, url] of metadataOf(options).entries()) {
      if (URL.canParse(url)) continue
      problems.add('SECURE_API_URL_INVALID', `${path}.openIdConnect[${index}]`, 'this is not a URL',
        'Give the whole address of the metadata, https://…/.well-known/openid-configuration.')
    }
    if (options.ui === undefined || Object.keys(options.ui).some(name => name !== 'path')) return
    problems.add('SECURE_API_OPTION_MISSING', `${path}.ui`, 'it does not say who may read the documentation',
      'Add `public: true`, or a rule.')
  },
  compile: options => ({ bearer: options.bearer ?? 'bearerAuth', openIdConnect: metadataOf(options), responses: options.responses ?? true })
})

const openapi: FastifyPluginAsync<OpenApiOptions> = async (app, given) => {
  const { options, compiled: settings } = await openApiSection.open(given, contextOf(app, undefined))
  if (options.ui !== undefined) ruleForPages(app, pageConfigs(options.ui, settings.openIdConnect))
  const pipeline = pipelineOf(app)
  pipeline.claim('openapi')
  const routes = new DocumentedRoutes(app, pipeline)
  const scopes = [app]
  const document = describer(app, pipeline, routes, settings)
  const wrap = () => scopes.flatMap(scope => (options.decorators ?? ['swagger']).map(name => wrapDecorator(scope, name, document)))
  app.addHook('onRoute', function documentRoute (route) { routes.declared.push(route) })
  app.addHook('onRegister', function documentScope (scope) { scopes.push(scope) })
  app.addHook('onReady', async function documentAll () {
    // An application that has no document after all.
    if (!wrap().includes(true)) routes.declared.length = 0
    scopes.length = 0
  })
  wrap()
}

/** The metadata of the issuers whose keys are found by discovery: what `openIdConnect` is unless it is stated. */
export function discoveredBy (auth: AuthenticationOptions): string[] {
  const isFound = ({ discovery, jwks, jwksUri, keys }: IssuerOptions) =>
    discovery ?? [jwks, jwksUri, keys?.source].every(given => given === undefined)
  return issuersOf(auth).filter(isFound).flatMap(issuer => compileIssuer(issuer)).map(({ issuer }) => metadataUrls(issuer)[0])
}

const metadataOf = ({ openIdConnect }: OpenApiOptions): readonly string[] => openIdConnect || []

/** The routes that @fastify/swagger may have in its list, whichever of the two was registered first. */
class DocumentedRoutes {
  readonly #app: FastifyInstance
  readonly #pipeline: Frame
  readonly #facts = new Marks<object, RouteFacts>()
  readonly declared: RouteOptions[] = []

  constructor (app: FastifyInstance, pipeline: Frame) {
    this.#app = app
    this.#pipeline = pipeline
  }

  /**
   * Marks each route for the operation that is made of it, by an object that @fastify/swagger copies from its schema when the document
   * is made. Fastify has read the schema long before, so nothing changes in how the route validates and answers.
   */
  mark (): void {
    for (const route of this.declared.splice(0)) {
      const compiled = this.#pipeline.declared(route)
      if (compiled === undefined || Object.hasOwn(route.schema ?? {}, extension)) continue
      const facts = this.#factsOf(compiled)
      const mark = extensionOf(facts)
      this.#facts.set(mark, facts)
      route.schema = Object.assign({}, route.schema, { [extension]: mark })
    }
  }

  /** Finds the facts of an operation by its mark; by its path where a transform of the application dropped that. */
  finder (document: Fields): (operation: Operation) => RouteFacts | undefined {
    const bases = basePaths(document)
    const byPath = new Map(this.#pipeline.routes.flatMap(route =>
      route.info.methods.map(method => [`${method} ${templateOf(route.info.url)}`, route])))
    return ({ method, path, operation }) => {
      const marked = this.#facts.of(fieldsOf(operation[extension]))
      if (marked !== undefined) return marked
      const route = bases.map(base => byPath.get(`${method} ${base}${path}`)).find(route => route !== undefined)
      return route === undefined ? this.#unknown(method, path) : this.#factsOf(route)
    }
  }

  #factsOf (route: CompiledRoute): RouteFacts {
    const { onRequest, preHandler } = route.names
    const steps = [...onRequest, ...preHandler]
    const posture = this.#pipeline.posture(route)
    return { access: accessOf(posture, steps), steps, rateLimit: posture.rateLimit }
  }

  /** Registered at the root the suite guards routes too that were declared before it; their `config` shows with the first request. */
  #unknown (method: string, path: string): RouteFacts | undefined {
    if (!Object.hasOwn(this.#app, 'server') || !isServed(this.#app, method, path)) return undefined
    warn(this.#app, { code: 'SECURE_API_OPENAPI_ROUTE_UNKNOWN' satisfies ConfigurationCode, method, path },
      'secure-api: this operation is documented as protected: its route was declared before the suite, or a transform changed its path')
    return { access: 'unknown', steps: this.#pipeline.controls.map(({ name }) => name) }
  }
}

/** Without the guards of `authorization` a valid credential is enough wherever one is asked for. */
function accessOf ({ access, accessByDefault, authentication }: Fields, steps: readonly string[]): Access {
  if (authentication === 'optional') return 'optional'
  if (access === undefined) return steps.includes('authentication') ? 'authenticated' : 'public'
  return access === 'none' && accessByDefault === 'authenticated' ? 'authenticated' : access as Access
}

/** Whether a route of this server answers there; a description may hold operations of other servers too. Parameters may ask for digits. */
function isServed (app: FastifyInstance, method: string, path: string): boolean {
  return ['x', '1'].some(value => {
    const route = app.findRoute({ method, url: path.replace(/\{[^}]*\}/g, value) })
    return route !== null && (path.includes('*') || !('*' in route.params))
  })
}

/** Makes the secured document of one that @fastify/swagger made; again only when there is a new one, or when a route was seen first. */
function describer (app: FastifyInstance, pipeline: Frame, routes: DocumentedRoutes, settings: Settings): Describe {
  const made = new Marks<object, { readonly routes: number, readonly secured: Fields }>()
  let warned = false
  return generate => {
    routes.mark()
    const document = generate()
    if (!isOpenApi3(document)) {
      if (!warned) warn(app, { code: 'SECURE_API_OPENAPI_VERSION' satisfies ConfigurationCode }, swagger2)
      warned = true
      return undefined
    }
    const known = made.of(document)
    if (known?.routes === pipeline.routes.length) return known.secured
    const { credentials, apiKeyHeader } = pipeline.ports
    const options: DocumentOptions = {
      ...settings,
      ...(credentials && { credentials }),
      apiKeyHeader,
      authenticates: pipeline.has('authentication'),
      bodies: pipeline.sendsProblems
    }
    const secured = secureDocument(document, routes.finder(document), options)
    made.set(document, { routes: pipeline.routes.length, secured })
    return secured
  }
}

const swagger2 =
  'secure-api: the API description is Swagger 2.0, which has no bearer tokens; register @fastify/swagger with the option `openapi`'

const wrapped = new Marks<object, Set<unknown>>()

/** Replaces the decorator where it stands, here or in a scope around, so that everybody gets the secured document. False: there is none. */
function wrapDecorator (scope: FastifyInstance, name: string, document: Describe): boolean {
  const owner = ownerOf(scope, name)
  const generate: unknown = owner && Reflect.get(owner, name)
  if (owner === undefined || typeof generate !== 'function') return false
  if (wrapped.of(generate)?.has(document) === true) return true
  const original = generate as Generate
  const secured: Generate = options => {
    const made = document(() => original())
    if (made === undefined) return original(options)
    return options?.yaml === true ? toYaml(made) : made
  }
  wrapped.set(secured, new Set([...wrapped.of(generate) ?? [], document]))
  return Reflect.set(owner, name, secured)
}

/** A child scope has its parent as its prototype. */
function ownerOf (scope: object | null, name: string): object | undefined {
  if (scope === null) return undefined
  return Object.hasOwn(scope, name) ? scope : ownerOf(Reflect.getPrototypeOf(scope), name)
}

export default suitePlugin('secure-api-openapi', openapi)
