import { ownConfig, type Config, type Underlay } from './route-info.ts'

/**
 * Route options by path, for routes whose `config` an application cannot write: those of other plugins. A pattern is the
 * URL of a route as it was declared, or ends in `/*` and stands for everything below. The most specific one counts.
 */
export class PathRules {
  readonly #where: string
  readonly #exact = new Map<string, Config>()
  /** Longest first. */
  readonly #below: readonly (readonly [prefix: string, config: Config])[]
  /** Keys that say who may call a route: where it states one itself, none of them is laid under it. */
  readonly #accessKeys: readonly string[]

  /** @param where the option's path, for messages and the posture: `authorization.routes`. */
  constructor (rules: Readonly<Record<string, object>>, accessKeys: readonly string[], where: string) {
    const below: [string, Config][] = []
    for (const [pattern, given] of Object.entries(rules)) {
      const config = Object.freeze(ownConfig(given))
      this.#exact.set(pattern, config)
      if (pattern.endsWith('/*')) below.push([pattern.slice(0, -1), config])
    }
    this.#below = below.sort(([one], [other]) => other.length - one.length)
    this.#accessKeys = accessKeys
    this.#where = where
  }

  /**
   * The route's `config` with what its pattern says under it; undefined where no pattern adds anything.
   * @param urls all under which the route answers: `/admin/` of a prefix is below `/admin/*`, and `/admin` is the same route
   */
  under (urls: Iterable<string>, own: Config): Underlay | undefined {
    const pattern = this.#patternOf(urls)
    const rule = pattern === undefined ? undefined : this.#exact.get(pattern)
    if (rule === undefined) return undefined
    const statesAccess = this.#accessKeys.some(key => key in own)
    const added = Object.entries(rule).filter(([key]) => !(key in own) && !(statesAccess && this.#accessKeys.includes(key)))
    if (added.length === 0) return undefined
    return { config: Object.assign(Object.create(null), own, Object.fromEntries(added)), source: `${this.#where}['${pattern}']` }
  }

  /** Patterns that stand for none of these URLs: most often a slip of the pen, and a rule that guards nothing. */
  unmatched (urls: Iterable<string>): string[] {
    const used = new Set<string | undefined>()
    for (const url of urls) {
      used.add(this.#patternOf([url]))
      for (const [prefix] of this.#below) if (url.startsWith(prefix)) used.add(`${prefix}*`)
    }
    return [...this.#exact.keys()].filter(pattern => !used.has(pattern))
  }

  #patternOf (urls: Iterable<string>): string | undefined {
    const all = [...urls]
    const exact = all.find(url => this.#exact.has(url))
    if (exact !== undefined) return exact
    const found = this.#below.find(([prefix]) => all.some(url => url.startsWith(prefix)))
    return found && `${found[0]}*`
  }
}
