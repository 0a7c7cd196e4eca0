import { isFault, isLoopback, parseOrigin } from '../../lib/cors/index.ts'
import { isFunction, optionsOf, textsOf, unread } from './options.ts'
import type { Described, DescribedObject } from './types.ts'
import type { Mapped, Value } from './value.ts'

const known = ['origin', 'methods', 'allowedHeaders', 'exposedHeaders', 'credentials', 'maxAge', 'optionsSuccessStatus', 'preflight',
  'preflightContinue', 'strictPreflight', 'hideOptionsRoute', 'hook', 'logLevel', 'delegator', 'prefix', 'cacheControl', 'encapsulate']

const writeThem = 'write the origins in `cors.origins`'

const anyPage = 'any web page may read the answers of this API, as before: name the origins if you can'

/** Options of @fastify/cors in the words of the suite. `false`: no other origin can be named. */
export function mapCors (described: Described): Mapped {
  if (isFunction(described)) {
    return { value: false, told: [`the options of @fastify/cors are made by a function for each request: ${writeThem}`] }
  }
  const options = optionsOf(described)
  const origins = originsOf(options['origin'])
  const told = [
    ...origins.told,
    ...unread(options, known, '@fastify/cors'),
    ...(options['delegator'] ? [`\`delegator\` decides for each request: ${writeThem}`] : [])
  ]
  if (origins.list.length === 0) return { value: false, told }
  const any = origins.list.includes('*')
  const credentials = options['credentials'] === true
  const lists = listsOf(options, credentials)
  if (any && credentials) {
    return { value: false, told: [...told, `every origin with \`credentials: true\` lets any web page act for the user: ${writeThem}`] }
  }
  return {
    value: {
      origins: origins.list,
      ...(any && { dangerouslyAllowAnyOrigin: true }),
      ...(credentials && { credentials }),
      ...(origins.list.some(origin => origin.startsWith('http://')) && credentials && { dangerouslyAllowInsecureOrigins: true }),
      ...lists.value,
      ...ageOf(options['maxAge'])
    },
    told: [...told, ...lists.told, ...(any ? [anyPage] : [])]
  }
}

const renamed = { methods: 'methods', allowedHeaders: 'requestHeaders', exposedHeaders: 'responseHeaders' } as const
/** What `*` says without credentials. It does not cover `Authorization` (Fetch §4.8). */
const all: Readonly<Record<string, readonly string[]>> = {
  methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
  allowedHeaders: ['*', 'authorization'],
  exposedHeaders: ['*']
}

/** With credentials, browsers take `*` as a name. */
function listsOf (options: DescribedObject, credentials: boolean): { value: Record<string, Value>, told: readonly string[] } {
  const lists = Object.entries(renamed).flatMap(([theirs, ours]) => {
    const texts = textsOf(options[theirs])
    return texts === undefined ? [] : [{ theirs, ours, texts }]
  })
  const value = lists.flatMap(({ theirs, ours, texts }): Array<[string, Value]> => {
    const named = texts.filter(text => text !== '*').map(text => theirs === 'methods' ? text.toUpperCase() : text)
    const any = named.length < texts.length && !credentials ? all[theirs] ?? [] : []
    const list = [...new Set([...any, ...named])]
    return list.length === 0 ? [] : [[ours, list]]
  })
  const told = lists.filter(({ texts }) => credentials && texts.includes('*'))
    .map(({ theirs, ours }) => `\`${theirs}: '*'\` means nothing with credentials: list them in \`cors.${ours}\``)
  return { value: Object.fromEntries(value), told }
}

const day = 86_400

/** Browsers keep the answer for a day at most. */
function ageOf (maxAge: Described | undefined): Record<string, Value> {
  return typeof maxAge === 'number' && maxAge >= 0 ? { maxAge: `${Math.min(Math.floor(maxAge), day)} seconds` } : {}
}

interface Origins {
  readonly list: readonly string[]
  readonly told: readonly string[]
}

/** Absent means every origin for @fastify/cors; `true` sends back whatever asks. */
function originsOf (origin: Described | undefined): Origins {
  if (origin === undefined || origin === null || origin === true || origin === '*') return { list: ['*'], told: [] }
  if (origin === false) return { list: [], told: [] }
  const parts = (Array.isArray(origin) ? origin as readonly Described[] : [origin]).map(originOf)
  const list = new Set(parts.flatMap(part => part.list))
  return { list: list.has('*') ? ['*'] : [...list], told: parts.flatMap(({ told }) => told) }
}

function local (origin: string): string {
  return `the origin ${origin} is left out, since any program on a user's machine can have it: add it where NODE_ENV is 'development'`
}

function originOf (origin: Described): Origins {
  if (typeof origin === 'string') {
    if (origin === '*') return { list: ['*'], told: [] }
    const parsed = parseOrigin(origin)
    if (isFault(parsed)) return { list: [], told: [`the origin ${JSON.stringify(origin)} is none that a browser sends`] }
    const isLocal = parsed.scheme === 'http' && isLoopback(parsed)
    return isLocal ? { list: [], told: [local(origin)] } : { list: [origin], told: [] }
  }
  if (isFunction(origin)) return { list: [], told: [`\`origin\` of @fastify/cors is a function: ${writeThem}`] }
  const text = typeof origin === 'object' && origin !== null && '$regexp' in origin ? String(origin['$regexp']) : undefined
  if (text === undefined) return { list: [], told: ['`origin` of @fastify/cors has a form that is not known'] }
  const pattern = patternOf(text)
  return pattern === undefined
    ? { list: [], told: [`the expression ${text} of \`origin\` has no counterpart: write the origins, or \`https://*.example.com\` for subdomains`] }
    : { list: pattern, told: [`the expression ${text} of \`origin\` became ${pattern.join(' and ')}`] }
}

const host = '((?:[a-z0-9-]+\\\\\\.)+[a-z0-9-]+)'
const exactly = new RegExp(`^/\\^https:\\\\/\\\\/${host}\\$/i?$`)
const below = new RegExp(`^/(?:\\^https:\\\\/\\\\/(?:\\.[*+]|\\[[^\\]]+\\][*+])?)?\\\\\\.${host}\\$/i?$`)

/** The two forms of expression that mean the same as a pattern of the suite, for https. */
function patternOf (text: string): readonly string[] | undefined {
  const [, exact] = exactly.exec(text) ?? []
  if (exact !== undefined) return [`https://${exact.replaceAll('\\.', '.')}`]
  const [, parent] = below.exec(text) ?? []
  return parent === undefined ? undefined : [`https://*.${parent.replaceAll('\\.', '.')}`]
}
