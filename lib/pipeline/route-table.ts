import { METHODS } from 'node:http'
import createRouter, { type Config, type HTTPMethod, type HTTPVersion, type Instance } from 'find-my-way'
import type { Slot } from './slot.ts'

/** How the application's own router reads URLs. */
export type RouterOptions = Config<HTTPVersion.V1> & { readonly useSemicolonDelimiter?: boolean }

/** All known routes by method and URL. `app.findRoute` only tells that a pattern exists, not which route a URL would meet. */
export class RouteTable {
  readonly #router: Instance<HTTPVersion.V1>
  readonly #methods = new Set<HTTPMethod>()

  constructor (options: RouterOptions) {
    this.#router = createRouter(options)
  }

  /** Routes that differ only by a constraint (host, version) share an entry. */
  add (route: Slot, url: string): void {
    for (const method of route.info.methods.filter(isMethod)) {
      const same = this.#router.findRoute(method, url)
      if (same === null) this.#router.on(method, url, () => {}, [route])
      else same.store.push(route)
      this.#methods.add(method)
    }
  }

  /** The routes that a request with this method and URL would meet, whatever its host and version; none if it is a 404. */
  at (method: string, url: string): readonly Slot[] {
    return isMethod(method) ? this.#router.find(method, url)?.store ?? [] : []
  }

  /** The methods that have a route for this URL; none where only a catch-all would answer, which knows no paths. */
  methodsAt (url: string): readonly string[] {
    const found = [...this.#methods].map(method => ({ method, routes: this.at(method, url) })).filter(({ routes }) => routes.length > 0)
    return found.some(({ method, routes }) => routes.some(route => knowsPath(method, route))) ? found.map(({ method }) => method) : []
  }
}

/** `*`, and wildcards for OPTIONS, as CORS plugins declare them, answer for paths that do not exist. */
function knowsPath (method: string, { info: { url } }: Slot): boolean {
  return url !== '*' && url !== '/*' && !(method === 'OPTIONS' && url.endsWith('*'))
}

function isMethod (method: string): method is HTTPMethod {
  return METHODS.includes(method)
}
