import type { OriginPattern } from './origins.ts'

export type OriginMatcher = (origin: string) => boolean

/** Longer than any http(s) origin: scheme, 253 octets of host, port. */
const longest = 300

/** Compiles origins to one look-up, then an in-place comparison per pattern. No regular expression ever runs on a caller's text. */
export function compileOrigins (patterns: readonly OriginPattern[]): OriginMatcher {
  if (patterns.some(({ any }) => any)) return () => true
  const exact = new Set(patterns.filter(isExact).map(({ text }) => text))
  const rules = patterns.filter(pattern => !isExact(pattern)).map(toRule)
  if (rules.length === 0) return origin => exact.has(origin)
  return origin => exact.has(origin) || (origin.length <= longest && rules.some(rule => matches(rule, origin)))
}

function isExact ({ subdomains, port }: OriginPattern): boolean {
  return !subdomains && port !== '*'
}

/** A pattern, cut into the pieces that an origin is compared with. */
interface Rule {
  /** `https://`. */
  readonly prefix: string
  /** `example.com`, or `.example.com` for subdomains. */
  readonly host: string
  readonly subdomains: boolean
  /** `''`, `':8443'`, or undefined for every port. */
  readonly port: string | undefined
}

function toRule ({ scheme, host, subdomains, port }: OriginPattern): Rule {
  const text = port === '' ? '' : `:${port}`
  return { prefix: `${scheme}://`, host: subdomains ? `.${host}` : host, subdomains, port: port === '*' ? undefined : text }
}

function matches ({ prefix, host, subdomains, port }: Rule, origin: string): boolean {
  if (!origin.startsWith(prefix)) return false
  const start = prefix.length
  const end = hostEnd(origin, start)
  const hostStart = end - host.length
  if (!subdomains && hostStart !== start) return false
  return origin.startsWith(host, hostStart) && (!subdomains || areLabels(origin, start, hostStart)) &&
    (port === undefined ? isPortOrNone(origin, end) : origin.length === end + port.length && origin.endsWith(port))
}

function hostEnd (origin: string, start: number): number {
  const bracket = origin.indexOf(']', start)
  const colon = origin.indexOf(':', bracket === -1 ? start : bracket)
  return colon === -1 ? origin.length : colon
}

/** Nothing, or a colon and 1 to 65535 without leading zeros. */
function isPortOrNone (origin: string, end: number): boolean {
  if (end === origin.length) return true
  const digits = origin.length - end - 1
  if (digits < 1 || digits > 5 || origin.charCodeAt(end + 1) === zero) return false
  for (let i = end + 1; i < origin.length; i++) {
    if (!isDigit(origin.charCodeAt(i))) return false
  }
  return Number(origin.slice(end + 1)) <= 65535
}

/** Labels as browsers send them. None is empty, so `https://.example.com` matches nothing. */
function areLabels (origin: string, start: number, end: number): boolean {
  let length = 0
  for (let i = start; i < end; i++) {
    const code = origin.charCodeAt(i)
    if (code === dot) {
      if (length === 0) return false
      length = 0
    } else if (!isLabelCode(code) || ++length > 63) return false
  }
  return length > 0
}

const zero = 48
const dot = 46

function isLabelCode (code: number): boolean {
  return isDigit(code) || (code >= 97 && code <= 122) || code === 45 || code === 95
}

function isDigit (code: number): boolean {
  return code >= 48 && code <= 57
}
