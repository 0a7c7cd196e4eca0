import type { Source } from './sources.ts'
import { closing, is, propertiesOf, split, stringOf, within, type Property, type Span, type Token } from './tokens.ts'

/** How an application fetches keys with `get-jwks`, as far as its source says it. */
export interface FetchedKeys {
  /** `issuersWhitelist`: those whose tokens were accepted; empty for any. */
  readonly issuers: readonly string[]
  /** Absent where the address is looked up in the provider's metadata. */
  readonly path?: string
  readonly ttl?: number
  /** Options that decide and cannot be read. */
  readonly unread: readonly string[]
}

/** The first call of `buildGetJwks({ … })`; undefined where the application has none. */
export function keysOf (sources: readonly Source[]): FetchedKeys | undefined {
  for (const { tokens } of sources) {
    const name = nameOf(tokens)
    const index = tokens.findIndex((token, at) => name !== undefined && is(token, name) && is(tokens[at + 1], '('))
    const end = index === -1 ? undefined : closing(tokens, index + 1)
    if (end !== undefined) return described(split(tokens.slice(index + 2, end))?.[0])
  }
  return undefined
}

/** The name that the import of `get-jwks` gets. */
function nameOf (tokens: readonly Token[]): string | undefined {
  const at = tokens.findIndex(token => stringOf(token) === 'get-jwks')
  if (at === -1) return undefined
  const [third, second, first] = tokens.slice(at - 3, at).reverse()
  const name = is(third, 'from') ? second : is(third, '(') && is(second, 'require') && is(first, '=') ? tokens[at - 4] : undefined
  return name?.type === 'IdentifierName' ? name.value : undefined
}

const unimportant: ReadonlySet<string> = new Set(['max', 'timeout', 'fetchOptions', 'agent'])

function described (options: Span | undefined): FetchedKeys {
  const standard = { path: '.well-known/jwks.json', issuers: [], unread: [] }
  if (options === undefined) return standard
  const properties = propertiesOf(options)
  if (properties === undefined) return { issuers: [], unread: ['options'] }
  const [issuers, path, ttl] = [['issuersWhitelist', 'allowedDomains'], ['jwksPath'], ['ttl']].map(names =>
    properties.find(({ key }) => key !== undefined && names.includes(key)))
  const list = issuers && listOf(issuers)
  const givenPath = textOf(path)
  const milliseconds = productOf(ttl)
  const discovery = properties.some(({ key, value }) => key === 'providerDiscovery' && !is(value?.tokens[0], 'false'))
  const known = [list && issuers, givenPath !== undefined && path, discoveryOf(properties), milliseconds !== undefined && ttl]
  const unread = properties.filter(property => !known.includes(property) && !unimportant.has(property.key ?? ''))
  return {
    issuers: list ?? [],
    ...(path === undefined ? !discovery && { path: standard.path } : givenPath !== undefined && { path: givenPath.replace(/^\//, '') }),
    ...(milliseconds !== undefined && { ttl: milliseconds }),
    unread: unread.map(({ key = 'options' }) => key)
  }
}

function discoveryOf (properties: readonly Property[]): Property | undefined {
  return properties.find(({ key, value }) => key === 'providerDiscovery' && (is(value?.tokens[0], 'true') || is(value?.tokens[0], 'false')))
}

function listOf ({ value }: Property): readonly string[] | undefined {
  const texts = (value && within(value, '['))?.map(({ tokens }) => tokens.length === 1 ? stringOf(tokens[0]) : undefined)
  return texts?.every(text => text !== undefined) === true ? texts : undefined
}

function textOf (property: Property | undefined): string | undefined {
  const tokens = property?.value?.tokens ?? []
  return tokens.length === 1 ? stringOf(tokens[0]) : undefined
}

/** `60 * 1000` as people write times. */
function productOf (property: Property | undefined): number | undefined {
  const text = property?.value?.tokens.map(({ value }) => value).join('') ?? ''
  if (!/^[\d_]+(?:\*[\d_]+)*$/.test(text)) return undefined
  return text.replaceAll('_', '').split('*').reduce((product, factor) => product * Number(factor), 1)
}
