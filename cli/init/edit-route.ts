import type { Edit } from './statement.ts'
import { is, propertiesOf, stringOf, within, type Call, type Property, type Span } from './tokens.ts'

/** What is to be written at a route. */
export interface RouteWish {
  /** Members of `config`, such as `authenticated: true`; empty where only the limit is to be put in other words. */
  readonly rule: string
  /** The route's name of its handler, as Fastify knows it: what tells a handler from options. */
  readonly handler: string
  /** Keys that `config` has when the application runs. */
  readonly config: readonly string[]
  /** The route's own address without prefix. */
  readonly url: string
  /** Hooks, by phase, of which the suite takes the place; all of that phase. */
  readonly replaced: readonly string[]
}

/** The edits that write a rule at a declaring call; undefined where that is not safe. */
export function routeEdits (text: string, call: Call, wish: RouteWish): readonly Edit[] | undefined {
  const edits = editsOf(text, call, wish)
  return edits === undefined || overlap(edits) ? undefined : edits
}

function overlap (edits: readonly Edit[]): boolean {
  const sorted = [...edits].sort((a, b) => a.start - b.start)
  return sorted.some(({ start }, index) => start < (sorted[index - 1]?.end ?? 0))
}

function editsOf (text: string, call: Call, wish: RouteWish): readonly Edit[] | undefined {
  if (call.name.value === 'route') {
    const [options, ...more] = call.arguments
    if (options === undefined || more.length > 0) return undefined
    return declares(propertiesOf(options), wish.url) ? optionsEdits(text, options, wish) : undefined
  }
  const [url, second, third, ...more] = call.arguments
  if (url === undefined || second === undefined || more.length > 0) return undefined
  if (url.tokens.length !== 1 || stringOf(url.tokens[0]) !== wish.url) return undefined
  if (third !== undefined) return optionsEdits(text, second, wish)
  if (is(second.tokens[0], '{')) return optionsEdits(text, second, wish)
  return isHandler(second, wish.handler) && wish.config.length === 0 && wish.rule !== ''
    ? [{ start: second.start, end: second.start, text: `{ config: { ${wish.rule} } }, ` }]
    : undefined
}

function declares (properties: readonly Property[] | undefined, url: string): boolean {
  const value = properties?.find(({ key }) => key === 'url' || key === 'path')?.value
  return value?.tokens.length === 1 && stringOf(value.tokens[0]) === url
}

/** A function that is written here, or a name that is the handler's. */
function isHandler ({ tokens }: Span, handler: string): boolean {
  const [first] = tokens
  if (is(first, 'function') || (is(first, 'async') && is(tokens[1], 'function'))) return is(tokens.at(-1), '}')
  if (tokens.some(token => is(token, '=>')) && (is(first, 'async') || is(first, '(') || is(tokens[1], '=>'))) return true
  const isPath = tokens.every((token, index) => index % 2 === 0 ? token.type === 'IdentifierName' : is(token, '.'))
  return isPath && handler !== '' && tokens.at(-1)?.value === handler
}

function optionsEdits (text: string, options: Span, wish: RouteWish): readonly Edit[] | undefined {
  const properties = propertiesOf(options)
  if (properties === undefined || twice(properties)) return undefined
  const config = properties.find(({ key }) => key === 'config')
  const hooks = wish.replaced.map(phase => properties.find(({ key }) => key === phase))
  if (hooks.some(hook => hook?.value === undefined)) return undefined
  const gone = hooks.filter(hook => hook !== undefined)
  const isNew = wish.config.length === 0 && wish.rule !== ''
  if (config === undefined) return isNew ? newConfig(text, options, properties, gone, wish.rule) : undefined
  const inside = config.value && propertiesOf(config.value)
  if (config.value === undefined || inside === undefined || twice(inside)) return undefined
  const limit = limitEdits(inside)
  if (limit === undefined) return undefined
  const rule = wish.rule === '' ? [] : [first(text, config.value, inside, wish.rule)]
  return [...rule, ...limit, ...gone.map(hook => removal(properties, hook))]
}

function twice (properties: readonly Property[]): boolean {
  const keys = properties.flatMap(({ key }) => key ?? [])
  return new Set(keys).size !== keys.length
}

/** The first hook that goes leaves its place to `config`. */
function newConfig (text: string, options: Span, properties: readonly Property[], [hook, ...more]: readonly Property[],
  rule: string): readonly Edit[] {
  const config = `config: { ${rule} }`
  if (hook === undefined) return [first(text, options, properties, config)]
  return [{ start: hook.start, end: hook.end, text: config }, ...more.map(other => removal(properties, other))]
}

/** Before the first member, on a line of its own where each has one. */
function first (source: string, object: Span, properties: readonly Property[], text: string): Edit {
  const [before] = properties
  const open = object.start + 1
  if (before === undefined) return { start: open, end: open, text: ` ${text} ` }
  const line = source.lastIndexOf('\n', before.start - 1) + 1
  const indent = source.slice(line, before.start)
  const separator = line > object.start && indent.trim() === '' ? `,\n${indent}` : ', '
  return { start: before.start, end: before.start, text: `${text}${separator}` }
}

function removal (properties: readonly Property[], gone: Property): Edit {
  const index = properties.indexOf(gone)
  const [before, after] = [properties[index - 1], properties[index + 1]]
  if (after !== undefined) return { start: gone.start, end: after.start, text: '' }
  return { start: before?.end ?? gone.start, end: gone.end, text: '' }
}

const renamed: Readonly<Record<string, string>> = { max: 'limit', timeWindow: 'window' }

/** `{ max, timeWindow }` of @fastify/rate-limit in the suite's words; undefined where there is more to it. */
function limitEdits (config: readonly Property[]): readonly Edit[] | undefined {
  const limit = config.find(({ key }) => key === 'rateLimit')
  if (limit === undefined) return []
  if (limit.value === undefined) return undefined
  if (limit.value.tokens.length === 1) return is(limit.value.tokens[0], 'false') ? [] : undefined
  const members = propertiesOf(limit.value)
  if (members === undefined || members.length !== 2) return undefined
  const edits = members.map(({ key = '', start, tokens, value }): Edit | undefined => {
    const name = renamed[key]
    return name === undefined || value === undefined ? undefined : { start, end: tokens[0]?.end ?? start, text: name }
  })
  return edits.some(edit => edit === undefined) ? undefined : edits as Edit[]
}

/** How each hook of a phase is written at a route: `[app.authenticate, verifyRole('admin')]`. */
export function hookSpans (call: Call, phase: string): readonly Span[] {
  const options = call.arguments[call.name.value === 'route' ? 0 : 1]
  const value = options && propertiesOf(options)?.find(({ key }) => key === phase)?.value
  if (value === undefined) return []
  return within(value, '[') ?? [value]
}
