import type { Problems } from '../lib/config/index.ts'
import type { Entry, LimitBook, RouteRateLimit } from '../lib/limits/index.ts'
import type { RouteInfo } from '../lib/pipeline/index.ts'
import type { Choose } from './rate-limit-handlers.ts'

const safeMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

/** Which policies count a request of this route. `read` and `write` by its method where it names none. */
export function policiesOf (stated: RouteRateLimit | undefined, { kind, methods, label }: RouteInfo, book: LimitBook,
  validate: (found: Problems) => void, problems: Problems): Choose | undefined {
  if (kind === 'unknown' || stated === false) return undefined
  if (stated === undefined || !problems.clean(validate)) return byMethod(methods, book)
  return book.select(entriesOf(stated, label, book))
}

function byMethod (methods: readonly string[], book: LimitBook): Choose {
  const read = book.select(named(['read'], book))
  const write = book.select(named(['write'], book))
  if (methods.every(method => safeMethods.has(method))) return read
  if (!methods.some(method => safeMethods.has(method))) return write
  return ({ method }) => safeMethods.has(method) ? read() : write()
}

function entriesOf (stated: Exclude<RouteRateLimit, false>, label: string, book: LimitBook): readonly Entry[] {
  if (typeof stated === 'string') return named([stated], book)
  return Array.isArray(stated) ? named(stated, book) : [book.define(inlineName(label), stated)]
}

/** A limit written at the route is a budget of that route alone. Its HEAD counts as its GET. */
function inlineName (label: string): string {
  return label.replace(/^route /, '').replace(/^HEAD /, 'GET ').replace(/[^\w./:-]+/g, '_')
}

function named (names: readonly string[], book: LimitBook): readonly Entry[] {
  return names.flatMap(name => book.find(name) ?? [])
}

/** For `app.secureApi.routes()`. */
export function describe (choose: Choose | undefined, { methods }: RouteInfo): unknown {
  if (choose === undefined) return false
  const policies = new Set(methods.flatMap(method => choose({ method })))
  return [...policies].map(({ name, limit, windowMs, algorithm, by, dryRun }) => ({
    policy: name, limit, windowMs, algorithm, by: typeof by === 'function' ? 'custom' : by, dryRun
  }))
}
