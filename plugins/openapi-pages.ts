import type { FastifyContextConfig, FastifyInstance, RouteOptions } from 'fastify'
import type { ConfigurationCode } from '../lib/config/index.ts'
import type { RouteHeaders } from '../lib/headers/index.ts'
import { Marks } from '../lib/marks/index.ts'
import type { Pages } from '../lib/openapi/index.ts'
import { accessKeys } from '../lib/rules/index.ts'
import type { Frame } from './ports.ts'
import { warn } from './warn.ts'

type ConfigOf = (route: RouteOptions) => FastifyContextConfig | undefined

/** Lays the rule of the documentation under the `config` of its pages. */
export function ruleForPages (app: FastifyInstance, configOf: ConfigOf): void {
  const isScopeOfPages = watchScopesOfPages(app)
  app.addHook('onRoute', function ruleOfPages (route) {
    const config = isScopeOfPages(this) ? configOf(route) : undefined
    if (config !== undefined) route.config = { ...config, ...route.config }
  })
}

/** Under the policy of an API, which loads nothing, the documentation is a blank page, and only the browser's console says why. */
export function warnOfBlankPages (app: FastifyInstance, pipeline: Frame): void {
  const isScopeOfPages = watchScopesOfPages(app)
  const declared: RouteOptions[] = []
  app.addHook('onRoute', function notePage (route) { if (isScopeOfPages(this)) declared.push(route) })
  app.addHook('onReady', async function findBlankPages () {
    const blank = declared.filter(route => !allowsPages(pipeline.declared(route)?.info.config.headers)).map(({ url }) => url)
    if (blank.length === 0) return
    warn(app, { code: 'SECURE_API_HEADERS_PAGE_BLANK' satisfies ConfigurationCode, routes: [...new Set(blank)] },
      "secure-api: these pages stay blank under the API's Content-Security-Policy. Set `openapi.ui`, or `profile: 'html'`")
  })
}

function allowsPages (headers: unknown): boolean {
  return typeof headers === 'object' && headers !== null && ('profile' in headers || 'contentSecurityPolicy' in headers)
}

/** Options that @fastify/swagger-ui always hands to the scope in which it declares its routes. */
const optionsOfPages = ['uiConfig', 'initOAuth', 'theme', 'logo']

/**
 * Tells the scopes that @fastify/swagger-ui opens for its pages, known by the options that it gives them. The path does
 * not tell: the application may have routes of its own there, in a plugin with the same prefix too, which stay as they are.
 */
function watchScopesOfPages (app: FastifyInstance): (scope: FastifyInstance) => boolean {
  const known = new Marks<FastifyInstance, true>()
  app.addHook('onRegister', (scope, options: object) => {
    if (scope.hasDecorator('swaggerCSP') && optionsOfPages.every(name => Object.hasOwn(options, name))) known.set(scope, true)
  })
  return scope => known.of(scope) === true
}

/** A page of the application that states a rule keeps it. */
function isPage ({ url, schema, config = {} }: RouteOptions, path: string): boolean {
  const hidden = schema !== undefined && 'hide' in schema && schema.hide === true
  return hidden && (url === path || url.startsWith(`${path}/`)) && !accessKeys.some(key => key in config)
}

/** The one inline style of swagger-ui 5: its logo, which @fastify/swagger-ui replaces. Another release shows the same page. */
const logoStyle = "'sha256-RL3ie0nH+Lzz2YNqQN83mnU0J1ot4QL7b99vMdIX99w='"

/**
 * What is laid under the `config` of a page. swagger-ui reads the metadata of openIdConnect schemes when it opens, and
 * asks for tokens there; the provider's window must find the page that opened it when it comes back to a file below
 * `static` (HTML, Cross-Origin-Opener-Policy), which `same-origin` on either would prevent.
 */
export function pageConfigs ({ path = '/documentation', ...rule }: Pages, metadata: readonly string[]): ConfigOf {
  const origins = [...new Set(metadata.map(url => new URL(url).origin))]
  const contentSecurityPolicy = { directives: { 'style-src': ["'self'", logoStyle], 'connect-src': ["'self'", ...origins] } }
  const configWith = (opener: NonNullable<RouteHeaders['crossOriginOpenerPolicy']>): FastifyContextConfig => {
    const crossOriginOpenerPolicy = origins.length === 0 ? 'same-origin' : opener
    return { ...rule, headers: { profile: 'html', contentSecurityPolicy, crossOriginOpenerPolicy } }
  }
  const page = configWith('same-origin-allow-popups')
  const file = configWith('unsafe-none')
  return route => isPage(route, path) ? (route.url.startsWith(`${path}/static/`) ? file : page) : undefined
}
