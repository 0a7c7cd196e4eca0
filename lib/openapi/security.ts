import { namesOf, statesAll, type Requirement, type Rule } from '../rules/index.ts'
import { fieldsOf, type Access, type Fields } from './types.ts'

/** The schemes of a document, by their names there. */
export interface Schemes {
  readonly bearer: string
  readonly openIdConnect: readonly string[]
  /** OpenAPI 3.1 allows scopes with every scheme; 3.0 (§4.7.31) only with oauth2 and openIdConnect. */
  readonly bearerScopes: boolean
  /** To be added to the document, which has the others already. */
  readonly added: Fields
}

/** `openIdConnect`: addresses of provider metadata. */
export type SchemeOptions = Pick<Schemes, 'bearer' | 'openIdConnect'>

const bearerScheme: Fields = Object.freeze({
  type: 'http',
  scheme: 'bearer',
  bearerFormat: 'JWT',
  description: 'An access token in the Authorization header (RFC 6750).'
})

/** The schemes for a document. Those that it has stay unchanged. */
export function schemesFor (document: Fields, { bearer, openIdConnect }: SchemeOptions): Schemes {
  const stated = fieldsOf(fieldsOf(document.components).securitySchemes)
  const schemes: Record<string, unknown> = { ...stated, [bearer]: stated[bearer] ?? bearerScheme }
  const names = openIdConnect.map(url => {
    const name = freeName(schemes, url)
    schemes[name] ??= { type: 'openIdConnect', openIdConnectUrl: url }
    return name
  })
  const added = Object.fromEntries(Object.entries(schemes).filter(([name]) => !Object.hasOwn(stated, name)))
  return { bearer, openIdConnect: names, bearerScopes: !String(document.openapi).startsWith('3.0'), added }
}

/** `openIdConnect`, `openIdConnect2`, …: the scheme with this address, or the first free name. */
function freeName (schemes: Fields, url: string, number = 1): string {
  const name = number === 1 ? 'openIdConnect' : `openIdConnect${number}`
  const taken = schemes[name]
  return taken === undefined || fieldsOf(taken).openIdConnectUrl === url ? name : freeName(schemes, url, number + 1)
}

/** The Security Requirement Objects of a route: one of the list is enough, all parts of it must hold. Empty: public. */
export function securityOf (access: Access, { bearer, openIdConnect, bearerScopes }: Omit<Schemes, 'added'>): readonly Fields[] {
  if (access === 'public') return []
  // OpenAPI 3.1 §4.8.30: an empty requirement among others makes security optional.
  if (access === 'optional') return [{}, ...securityOf('authenticated', { bearer, openIdConnect, bearerScopes })]
  const groups = typeof access === 'string' ? [[]] : alternatives(access)
  const withBearer = bearerScopes ? groups : [[]]
  const others = openIdConnect.flatMap(name => groups.map(scopes => ({ [name]: scopes })))
  return [...withBearer.map(scopes => ({ [bearer]: scopes })), ...others]
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
