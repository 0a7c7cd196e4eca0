import { OutgoingMessage, ServerResponse } from 'node:http'
import { kBlock } from './head-block.ts'
import { isNodesWriteHead } from './node-methods.ts'
import { hasten } from './plain-response.ts'
import { addVary } from './vary.ts'

/** A header: lower-case name (RFC 9113 §8.2.1) and value. */
export type HeaderPair = readonly [name: string, value: string]

/** Headers known at boot, in every form in which they are written. */
export interface HeadPart {
  readonly pairs: readonly HeaderPair[]
  /** Names and values in turn, as `writeHead` takes them. */
  readonly flat: readonly string[]
  readonly names: ReadonlySet<string>
  /** Lines of an HTTP/1.1 head. */
  readonly block: string
}

/** Headers known before they are written, in both forms. */
export type HeadLines = Pick<HeadPart, 'flat' | 'block'>

/** Headers for every response of a route. */
export interface HeadSet {
  readonly always: HeadPart
  /** Cache-Control below status 400, and from there on; used when the response has none. */
  readonly success: HeadPart
  readonly error: HeadPart
  /** Names of headers to remove. */
  readonly remove: ReadonlySet<string>
  /** Keeps shared caches out, whatever `Cache-Control` the handler sets. */
  readonly isPrivate?: boolean
}

/** Headers for `writeHead`: names with values, or names and values in turn. */
type Own = Readonly<Record<string, number | string | readonly string[] | undefined>> | undefined
type Given = Own | readonly unknown[]
type Write = (this: ServerResponse, status: number, reason?: unknown, headers?: unknown) => ServerResponse

const kHead = Symbol('secure-api.head')
const kSet = Symbol('secure-api.head-set')
type Response = ServerResponse & { [kHead]?: Head, [kSet]?: HeadSet, [kBlock]?: string }

/** Headers that wait until the head is written. */
interface Head {
  set: HeadSet
  /** The previous `writeHead`. */
  readonly write: Write
  readonly parts: HeadPart[]
  /** Headers of this response alone: names and values in turn. */
  readonly flat: string[]
  /** What a refusal sets on its reply. */
  refusal: HeadLines | undefined
  /** Whether prepared headers are written as one text. Somebody else's `writeHead` gets them as a list, and may change it. */
  isBlock: boolean
  written: boolean
}

/** Whether RFC 9110 §5.5 allows the value; obsolete octets above ASCII are refused. */
export function writable (value: string): boolean {
  return /^[\t\x20-\x7e]*$/.test(value)
}

/** Prepares headers. Throws on a value that would split the response (RFC 9112 §11.1), because nobody checks it again. */
export function headPart (pairs: readonly HeaderPair[]): HeadPart {
  const unfit = pairs.find(([, value]) => !writable(value))
  if (unfit !== undefined) throw new TypeError(`the value of ${unfit[0]} cannot be sent`)
  return Object.freeze({
    pairs: Object.freeze([...pairs]),
    ...headLines(pairs),
    names: new Set(pairs.map(([name]) => name))
  })
}

/** Expects values that are {@link writable}. */
export function headLines (pairs: readonly HeaderPair[]): HeadLines {
  let block = ''
  for (const [name, value] of pairs) block += `${name}: ${value}\r\n`
  return Object.freeze({ flat: Object.freeze(pairs.flat()), block })
}

const none = headPart([])
const emptyPlan: HeadSet = Object.freeze({ always: none, success: none, error: none, remove: new Set<string>() })

/**
 * Sets the suite's headers of a response. They are merged when the head is written (by `reply.send`, a hijacked `raw.end`, an error),
 * because eleven calls of `setHeader` cost more than all checks. A header of the application replaces ours, except `Vary`, which
 * lists the names of both.
 */
export function setHead (raw: Response, set: HeadSet): void {
  const head = headOf(raw)
  if (head !== undefined) {
    head.set = set
    return
  }
  // HTTP/2, where not every response goes through one function that writes the head.
  raw[kSet] = set
  for (const [name, value] of [...set.always.pairs, ...set.error.pairs]) raw.setHeader(name, value)
  if (set.isPrivate === true) keepPrivate(raw)
}

/** A hijacked answer over HTTP/2 passes no hook behind this one. */
function keepPrivate (raw: Response): void {
  const { setHeader } = raw
  const writeHead = raw.writeHead as Write
  raw.setHeader = (name, value) => setHeader.call(raw, name, isCacheControl(name) ? withoutSharing(String(value)) : value)
  raw.writeHead = (status: number, ...parts: unknown[]) => writeHead.call(raw, status, ...parts.map(privately)) as Response
}

function privately (given: unknown): unknown {
  if (typeof given !== 'object' || given === null) return given
  if (!Array.isArray(given)) return unshared({ isPrivate: true }, given as Own)
  return pairwise(given).flatMap(([name, value]) => [name, isCacheControl(name) ? withoutSharing(String(value)) : value])
}

/** The head set of an HTTP/2 response, whose headers are set as for an error. */
export function headSetOf (raw: Response): HeadSet | undefined {
  return raw[kSet]
}

/** Adds prepared headers to the head. */
export function addToHead (raw: ServerResponse, part: HeadPart): void {
  const head = headOf(raw)
  if (head !== undefined) head.parts.push(part)
  else for (const [name, value] of part.pairs) addPairToHead(raw, name, value)
}

/** Adds one header with a value for this response, which must be {@link writable}. */
export function addPairToHead (raw: ServerResponse, name: string, value: string): void {
  const head = headOf(raw)
  if (head !== undefined) head.flat.push(name, value)
  else raw.setHeader(name, withVary(name, value, raw.getHeader(name)))
}

/**
 * What a refusal sets on its reply. If that is all there is when the head is written, the prepared lines are: whatever an `onSend` hook
 * changed, or a hook before set, is written as ever.
 */
export function expectRefusal (raw: ServerResponse, lines: HeadLines): void {
  const head = headOf(raw)
  if (head !== undefined) head.refusal = lines
}

/** Undefined for HTTP/2: `end` does not always call `writeHead`. */
function headOf (raw: Response): Head | undefined {
  return raw[kHead] ?? (raw instanceof ServerResponse ? open(raw) : undefined)
}

/** Another `writeHead` on this response is kept and called with our headers. */
function open (raw: Response): Head {
  const write = raw.writeHead as Write
  const head: Head = { set: emptyPlan, write, parts: [], flat: [], refusal: undefined, isBlock: false, written: false }
  raw[kHead] = head
  raw.writeHead = writeHead as typeof raw.writeHead
  hasten(raw)
  head.isBlock = raw[kBlock] !== undefined && isNodesWriteHead(write)
  return head
}

const sentGetter = Object.getOwnPropertyDescriptor(OutgoingMessage.prototype, 'headersSent')?.get

/** Whether Node has sent the head. @fastify/express overrides `headersSent` so that it is true after `send`, so this uses Node's getter. */
export function isHeadSent (raw: { readonly headersSent: boolean }): boolean {
  return raw instanceof OutgoingMessage && sentGetter !== undefined ? sentGetter.call(raw) === true : raw.headersSent
}

/** Replaces a response's `writeHead`; Node calls it too, before the first byte of a body. */
function writeHead (this: Response, status: number, reason?: unknown, headers?: unknown): ServerResponse {
  const head = this[kHead]
  if (head === undefined || head.written || isHeadSent(this)) {
    return (head?.write ?? ServerResponse.prototype.writeHead as Write).call(this, status, reason, headers)
  }
  head.written = true
  const given = (typeof reason === 'string' ? headers : headers ?? reason) as Given
  try {
    const all = complete(this, head, status, given)
    return typeof reason === 'string' ? head.write.call(this, status, reason, all) : head.write.call(this, status, all)
  } catch (error) {
    // The application set an invalid header. The next attempt gets our headers too.
    head.written = false
    if (this[kBlock] !== undefined) this[kBlock] = ''
    throw error
  }
}

/** The headers to write instead of the given ones. */
function complete (raw: Response, head: Head, status: number, given: Given): Given {
  if (Array.isArray(given) || raw.getHeaderNames().length > 0) return besideOthers(raw, head, status, given)
  const { refusal } = head
  if (refusal !== undefined && isUntouched(head, refusal, given as Own)) return ofRefusal(raw, head, refusal, given as Own)
  const own = unshared(head.set, given as Own)
  // Refusals and many handlers set their own Cache-Control.
  const cache = own?.['cache-control'] !== undefined ? none : cacheFor(head.set, status)
  if (overlaps(head, cache, own)) return merged(head, cache, own)
  return head.isBlock ? asBlock(raw, head, cache, own) : inTurn(head, cache, own)
}

function unshared ({ isPrivate }: Pick<HeadSet, 'isPrivate'>, own: Own): Own {
  if (isPrivate !== true) return own
  for (const name in own) {
    if (!isCacheControl(name)) continue
    const value = withoutSharing(String(own[name]))
    return value === own[name] ? own : { ...own, [name]: value }
  }
  return own
}

/** `reply.raw` allows any case. The length is compared first: this runs for each header of each response. */
function isCacheControl (name: string): boolean {
  return name.length === 13 && name.toLowerCase() === 'cache-control'
}

/**
 * `public`, `s-maxage` and `must-revalidate` let shared caches store the response to a request with `Authorization` (RFC 9111 §3.5);
 * `private` prevents that. The rest stays, for the browser's own cache.
 */
export function withoutSharing (value: string): string {
  if (value === 'no-store') return value // of refusals, which come in floods
  const directives = value.split(',').map(directive => directive.trim())
  const names = directives.map(directive => directive.toLowerCase().replace(/[\s=;].*/s, ''))
  if (directives.some(directive => /^(private|no-store)$/i.test(directive)) || !names.some(name => sharing.has(name))) return value
  return ['private', ...directives.filter((_, index) => !['public', 's-maxage'].includes(names[index] ?? ''))].join(', ')
}

const sharing: ReadonlySet<string> = new Set(['public', 's-maxage', 'must-revalidate', 'proxy-revalidate'])

function cacheFor ({ success, error }: HeadSet, status: number): HeadPart {
  return status < 400 ? success : error
}

/** Writes our headers after the status line; the given ones follow unchanged. */
function asBlock (raw: Response, { set, parts, flat }: Head, cache: HeadPart, own: Given): Given {
  let block = set.always.block + cache.block
  for (const part of parts) block += part.block
  for (let index = 0; index < flat.length; index += 2) block += `${flat[index]}: ${flat[index + 1]}\r\n`
  raw[kBlock] = block
  return own
}

/** Whether the given headers are those of the refusal and its length, in this order, and none of them replaces one of ours. */
function isUntouched (head: Head, { flat }: HeadLines, own: Own): boolean {
  let at = 0
  for (const name in own) {
    const isSame = at < flat.length ? name === flat[at] && own[name] === flat[at + 1] : name === 'content-length'
    if (!isSame || isSet(head, name)) return false
    at += 2
  }
  return at === flat.length + 2
}

/** A refusal has a `Cache-Control` of its own, which is `no-store`. */
function ofRefusal (raw: Response, head: Head, { flat, block }: HeadLines, own: Own): Given {
  const length = own?.['content-length']
  if (!head.isBlock) {
    const all = inTurn(head, none, undefined)
    all.push(...flat, 'content-length', length)
    return all
  }
  asBlock(raw, head, none, undefined)
  raw[kBlock] += block
  return { 'content-length': length }
}

/** Whether a given header replaces one of ours or must be removed, which rules out the fast path. */
function overlaps (head: Head, cache: HeadPart, own: Own): boolean {
  for (const key in own) {
    const name = key.toLowerCase()
    if (cache.names.has(name) || isSet(head, name)) return true
  }
  return false
}

function isSet ({ set, parts, flat }: Head, name: string): boolean {
  if (set.always.names.has(name) || set.remove.has(name)) return true
  for (const part of parts) if (part.names.has(name)) return true
  return flat.length > 0 && flat.includes(name)
}

/** Names and values in turn: Node then does not copy them one by one. */
function inTurn ({ set, parts, flat }: Head, cache: HeadPart, own: Own): unknown[] {
  const all: unknown[] = [...set.always.flat, ...cache.flat]
  for (const part of parts) all.push(...part.flat)
  all.push(...flat)
  for (const key in own) all.push(key, own[key])
  return all
}

function merged (head: Head, cache: HeadPart, own: Own): unknown[] {
  const names = new Map<string, unknown>(pairsOf(head, cache))
  for (const [key, value] of Object.entries(own ?? {})) {
    const name = key.toLowerCase()
    if (!head.set.remove.has(name)) names.set(name, withVary(name, value, names.get(name)))
  }
  return [...names].flat(1)
}

/** The raw response has headers of its own: ours are set beside them. */
function besideOthers (raw: Response, head: Head, status: number, given: Given): Given {
  const { set } = head
  for (const [name, value] of pairsOf(head, cacheFor(set, status))) {
    const present = raw.getHeader(name)
    if (present === undefined || name === 'vary') raw.setHeader(name, withVary(name, present ?? value, value) as string)
  }
  for (const name of set.remove) raw.removeHeader(name)
  const stated = set.isPrivate === true ? raw.getHeader('cache-control') : undefined
  if (stated !== undefined) raw.setHeader('cache-control', withoutSharing(String(stated)))
  if (given === undefined) return undefined
  const list: readonly (readonly [string, unknown])[] = Array.isArray(given) ? pairwise(given) : Object.entries(given)
  return list.filter(([key]) => !set.remove.has(key.toLowerCase()))
    .flatMap(([key, value]) => [key, set.isPrivate === true && isCacheControl(key)
      ? withoutSharing(String(value))
      : withVary(key.toLowerCase(), value, raw.getHeader(key))])
}

function withVary <V> (name: string, value: V, ours: unknown): V | string {
  return name === 'vary' && ours !== undefined ? addVary(String(ours), String(value)) : value
}

/** Both forms that Node accepts: `[name, value, name, value]` and `[[name, value]]`. */
function pairwise (list: readonly unknown[]): (readonly [string, unknown])[] {
  const flat = Array.isArray(list[0]) ? list.flat(1) : list
  return flat.flatMap((name, index) => index % 2 === 0 ? [[String(name), flat[index + 1]] as const] : [])
}

/** Our headers; `vary`, which several parts set, is joined. */
function pairsOf ({ set, parts, flat }: Head, cache: HeadPart): Map<string, string> {
  const all = new Map<string, string>()
  const add = (name: string, value: string) => all.set(name, withVary(name, value, all.get(name)))
  for (const part of [set.always, cache, ...parts]) for (const [name, value] of part.pairs) add(name, value)
  for (let index = 0; index < flat.length; index += 2) add(flat[index] ?? '', flat[index + 1] ?? '')
  return all
}
