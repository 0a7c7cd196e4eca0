import { namesOf, statesAll, type Requirement, type Rule } from '../rules/index.ts'
import { fieldsOf, type Access, type Fields } from './types.ts'

/** The schemes of a document, by their names there. */
export interface Schemes {
  readonly bearer: string
  /** Whether any caller has a token. */
  readonly tokens: boolean
  readonly openIdConnect: readonly string[]
  readonly apiKey?: string
  /** Other credentials (`session`), each described by a scheme of its name that the application wrote. */
  readonly own: readonly string[]
  /** OpenAPI 3.1 allows scopes with every scheme; 3.0 (§4.7.31) only with oauth2 and openIdConnect. */
  readonly bearerScopes: boolean
  /** To be added to the document, which has the others already. */
  readonly added: Fields
}

/** `openIdConnect`: addresses of provider metadata. */
export interface SchemeOptions extends Pick<Schemes, 'bearer' | 'openIdConnect'> {
  /** What a caller may bring. @default tokens alone */
  readonly credentials?: readonly string[]
  /** The header of API keys, where there are any. */
  readonly apiKeyHeader?: string | undefined
}

const tokens = ['jwt', 'opaque']

const bearerScheme: Fields = Object.freeze({
  type: 'http',
  scheme: 'bearer',
  bearerFormat: 'JWT',
  description: 'An access token in the Authorization header (RFC 6750).'
})

/** The schemes for a document. Those that it has stay unchanged. */
export function schemesFor (document: Fields, { bearer, openIdConnect, credentials = tokens, apiKeyHeader }: SchemeOptions): Schemes {
  const stated = fieldsOf(fieldsOf(document.components).securitySchemes)
  const own = credentials.filter(name => Object.hasOwn(stated, name) && ![...tokens, 'api-key'].includes(name))
  const hasTokens = credentials.some(name => tokens.includes(name)) || (apiKeyHeader === undefined && own.length === 0)
  const schemes: Record<string, unknown> = { ...stated, ...(hasTokens && { [bearer]: stated[bearer] ?? bearerScheme }) }
  const placed = (scheme: Fields & { readonly type: string }) => {
    const name = freeName(schemes, scheme)
    schemes[name] ??= scheme
    return name
  }
  const names = openIdConnect.map(url => placed({ type: 'openIdConnect', openIdConnectUrl: url }))
  const apiKey = apiKeyHeader === undefined ? undefined : placed({ type: 'apiKey', in: 'header', name: apiKeyHeader })
  const added = Object.fromEntries(Object.entries(schemes).filter(([name]) => !Object.hasOwn(stated, name)))
  const bearerScopes = !String(document.openapi).startsWith('3.0')
  return { bearer, tokens: hasTokens, openIdConnect: names, ...(apiKey !== undefined && { apiKey }), own, bearerScopes, added }
}

/** `openIdConnect`, `openIdConnect2`, …: the scheme that says the same, or the first free name. */
function freeName (schemes: Fields, meant: Fields & { readonly type: string }, number = 1): string {
  const name = number === 1 ? meant.type : `${meant.type}${number}`
  const taken = schemes[name]
  const isFree = taken === undefined || Object.entries(meant).every(([key, value]) => fieldsOf(taken)[key] === value)
  return isFree ? name : freeName(schemes, meant, number + 1)
}

/** The Security Requirement Objects of a route: one of the list is enough, all parts of it must hold. Empty: public. */
export function securityOf (access: Access, schemes: Omit<Schemes, 'added'>): readonly Fields[] {
  if (access === 'public') return []
  // OpenAPI 3.1 §4.8.30: an empty requirement among others makes security optional.
  if (access === 'optional') return [{}, ...securityOf('authenticated', schemes)]
  const { bearer, openIdConnect, apiKey, own, bearerScopes } = schemes
  const groups = typeof access === 'string' ? [[]] : alternatives(access)
  const elsewhere = bearerScopes ? groups : [[]]
  const required = (name: string, sets: readonly (readonly string[])[]) => sets.map(scopes => ({ [name]: scopes }))
  const byToken = [...required(bearer, elsewhere), ...openIdConnect.flatMap(name => required(name, groups))]
  const ways = [
    ...(schemes.tokens ? [{ credentials: tokens, needed: byToken }] : []),
    ...(apiKey === undefined ? [] : [{ credentials: ['api-key'], needed: required(apiKey, elsewhere) }]),
    ...own.map(name => ({ credentials: [name], needed: required(name, elsewhere) }))
  ]
  const found = ways.filter(({ credentials }) => takes(access, credentials)).flatMap(({ needed }) => needed)
  // A credential that no scheme describes: an empty list would say that the route is public.
  return found.length > 0 ? found : ways[0]?.needed ?? []
}

/** Whether a caller with one of these credentials may come. */
function takes (access: Access, credentials: readonly string[]): boolean {
  if (typeof access === 'string' || access.credential === undefined) return true
  return [access.credential].flat().some(name => credentials.includes(name))
}

/** The sets of scopes of which one is needed. Clients cannot request roles and policies. */
function alternatives ({ scope }: Rule): readonly (readonly string[])[] {
  if (scope === undefined) return [[]]
  if (typeof scope === 'string') return [[scope]]
  return statesAll(scope) ? [scope.all] : scope.any.map(name => [name])
}

/** What a caller needs, in words. */
export function needs (access: Access): string {
  if (access === 'none') return 'This route has no rule: nobody may call it.'
  if (typeof access === 'string') return 'The credential does not permit this.'
  const parts = (['scope', 'role', 'policy'] as const).flatMap(kind => inWords(kind, access[kind]))
  return `Needs ${[...parts, ...whose(access)].join(', and ')}.`
}

/** The kind of caller and credential. */
function whose ({ caller, credential }: Rule): string[] {
  const list = (names: string | readonly string[]) => [names].flat().map(name => `\`${name}\``).join(' or ')
  return [
    ...(caller === undefined ? [] : [`a caller of the kind ${list(caller)}`]),
    ...(credential === undefined ? [] : [`the credential ${list(credential)}`])
  ]
}

const plural = { scope: 'scopes', role: 'roles', policy: 'policies' } as const

function inWords (kind: keyof typeof plural, requirement: Requirement | undefined): string[] {
  if (requirement === undefined) return []
  const isAll = typeof requirement === 'string' || statesAll(requirement)
  const names = namesOf(requirement)
  const list = names.map(name => `\`${name}\``).join(', ')
  if (names.length === 1) return [`the ${kind} ${list}`]
  return [isAll ? `the ${plural[kind]} ${list}` : `one of the ${plural[kind]} ${list}`]
}
