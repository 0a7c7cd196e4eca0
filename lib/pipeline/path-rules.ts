import { ownConfig, type Config, type Underlay } from './route-info.ts'
import type { RouterOptions } from './route-table.ts'

/**
 * Route options by path, for routes whose `config` an application cannot write: those of other plugins. A pattern is the
 * URL of a route as it was declared, or ends in `/*` and stands for everything below. The most specific one counts.
 * Both are read as the router reads URLs: where `/Admin//x` answers `/admin/x`, `/admin/*` stands for it.
 */
export class PathRules {
  readonly #where: string
  readonly #read: (url: string) => readonly string[]
  /** By the pattern as the router would read it. */
  readonly #exact = new Map<string, Pattern>()
  /** Longest first. */
  readonly #below: readonly (readonly [prefix: string, pattern: Pattern])[]
  /** Keys that say who may call a route: where it states one itself, none of them is laid under it. */
  readonly #accessKeys: readonly string[]
  readonly #patterns: readonly string[]

  /** @param where the option's path, for messages and the posture: `authorization.routes`. */
  constructor (rules: Readonly<Record<string, object>>, accessKeys: readonly string[], where: string, router: RouterOptions = {}) {
    this.#read = readerOf(router)
    for (const [written, given] of Object.entries(rules)) {
      const [url = written] = this.#read(written)
      this.#exact.set(url, { written, config: Object.freeze(ownConfig(given)) })
    }
    this.#below = [...this.#exact].filter(([url]) => url.endsWith('/*')).map(([url, pattern]) => [url.slice(0, -1), pattern] as const)
      .sort(([one], [other]) => other.length - one.length)
    this.#patterns = Object.keys(rules)
    this.#accessKeys = accessKeys
    this.#where = where
  }

  /**
   * The route's `config` with what its pattern says under it; undefined where no pattern adds anything.
   * @param urls all under which the route answers: `/admin/` of a prefix is below `/admin/*`, and `/admin` is the same route
   */
  under (urls: Iterable<string>, own: Config): Underlay | undefined {
    const pattern = this.#patternOf(urls)
    if (pattern === undefined) return undefined
    const statesAccess = this.#accessKeys.some(key => key in own)
    const added = Object.entries(pattern.config).filter(([key]) => !(key in own) && !(statesAccess && this.#accessKeys.includes(key)))
    if (added.length === 0) return undefined
    return { config: Object.assign(Object.create(null), own, Object.fromEntries(added)), source: `${this.#where}['${pattern.written}']` }
  }

  /** Patterns that stand for none of these URLs: most often a slip of the pen, and a rule that guards nothing. */
  unmatched (urls: Iterable<string>): string[] {
    const used = new Set<string | undefined>()
    for (const url of [...urls].flatMap(this.#read)) {
      used.add(this.#exact.get(url)?.written)
      for (const [prefix, { written }] of this.#below) if (url.startsWith(prefix)) used.add(written)
    }
    return this.#patterns.filter(pattern => !used.has(pattern))
  }

  /** Patterns for a part of what this wildcard route, `/uploads/*` or `/:tenant/*`, answers: the route has one rule for all. */
  inside (wildcard: string): readonly Inside[] {
    const [read = wildcard] = this.#read(wildcard)
    // The router takes `*` for `/*`.
    const prefix = read === '*' ? '/' : read.slice(0, -1)
    const isBelow = startOf(prefix)
    return this.#below.filter(([other]) => other !== prefix && isBelow.test(other)).map(([other, { written }]) => ({
      written,
      isOf: urls => [...urls].flatMap(this.#read).includes(`${other}*`)
    }))
  }

  #patternOf (urls: Iterable<string>): Pattern | undefined {
    const all = [...urls].flatMap(this.#read)
    const exact = all.find(url => this.#exact.has(url))
    return this.#exact.get(exact ?? '') ?? this.#below.find(([prefix]) => all.some(url => url.startsWith(prefix)))?.[1]
  }
}

interface Inside {
  readonly written: string
  /** Whether a route with these URLs answers what the pattern stands for. */
  readonly isOf: (urls: Iterable<string>) => boolean
}

/** Matches paths that begin with this one. A parameter stands for any text of its segment. */
function startOf (prefix: string): RegExp {
  const parts = prefix.split('/').map(part => /^:\w+$/.test(part) ? `(?:${part}|[^/:]+)` : part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
  return new RegExp(`^${parts.join('/')}`)
}

interface Pattern { readonly written: string, readonly config: Config }

/** All spellings under which the router knows the URL of a route, in one form for all that it takes for the same. */
function readerOf ({ caseSensitive, ignoreDuplicateSlashes, ignoreTrailingSlash }: RouterOptions): (url: string) => readonly string[] {
  return url => {
    const single = ignoreDuplicateSlashes === true ? url.replace(/\/{2,}/g, '/') : url
    const path = caseSensitive === false ? single.toLowerCase() : single
    return ignoreTrailingSlash === true && !path.endsWith('*') ? [path.replace(/(?<=.)\/$/, ''), path.replace(/\/?$/, '/')] : [path]
  }
}
