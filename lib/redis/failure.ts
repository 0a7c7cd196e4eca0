/**
 * - `timeout`: no answer within the deadline. `connection`: refused, closed, or a name that is not found. `tls`: no encrypted connection.
 * - `authentication`: a password or user is missing or wrong. `permission`: the user may not run the commands, or not on these keys.
 * - `cluster`: one node of a cluster, which answers for its own keys only.
 * - `out-of-memory`, `read-only`, `loading`: the state of the server. `script`, `reply`: it does not answer like a Redis.
 */
export type StoreFailureReason =
  'timeout' | 'connection' | 'tls' | 'authentication' | 'permission' | 'cluster' | 'out-of-memory' | 'read-only' | 'loading' |
  'script' | 'reply' | 'unknown'

/** Redis failed. `reason` is from a closed list and `code` has capitals and digits only: the client's own text may hold secrets. */
export class StoreFailed extends Error {
  readonly reason: StoreFailureReason
  readonly code: string | undefined

  constructor (reason: StoreFailureReason, code?: string) {
    super(`Redis failed: ${reason}${code === undefined ? '' : ` (${code})`}`)
    this.name = 'StoreFailed'
    this.reason = reason
    this.code = code
  }
}

/** What Redis and its clients say, by how it begins. */
const reasons: readonly (readonly [RegExp, StoreFailureReason])[] = [
  [/\bOOM\b/, 'out-of-memory'],
  [/\bREADONLY\b|\bNOREPLICAS\b|\bMISCONF\b/, 'read-only'],
  [/\bMOVED\b|\bASK\b|\bCROSSSLOT\b/, 'cluster'],
  [/\bLOADING\b|\bMASTERDOWN\b|\bCLUSTERDOWN\b|\bBUSY\b/, 'loading'],
  [/\bNOAUTH\b|\bWRONGPASS\b|\bERR AUTH\b|invalid password|without any password/i, 'authentication'],
  [/\bNOPERM\b/, 'permission'],
  [/\bCERT_|CERTIFICATE|SELF_SIGNED|UNABLE_TO|HOSTNAME_MISMATCH|ERR_TLS|ERR_SSL|EPROTO|SSL routines|TLS/, 'tls'],
  [/timed? ?out/i, 'timeout'],
  [/ECONN|EPIPE|EHOST|ENOTFOUND|EAI_|isn't writeable|(Connection|client) is closed|Socket closed|max retries|offline/i, 'connection'],
  [/\bERR\b|\bWRONGTYPE\b|script/i, 'script']
]

/** What a client's error means. Its text may hold an address, a user, or what was sent: only its first word, in capitals, is kept. */
export function asStoreFailure (error: unknown): StoreFailed {
  if (error instanceof StoreFailed) return error
  if (!(error instanceof Error)) return new StoreFailed('unknown')
  const { name, message, code } = error as NodeJS.ErrnoException
  const text = `${name} ${message} ${code ?? ''}`
  return new StoreFailed(reasons.find(([pattern]) => pattern.test(text))?.[1] ?? 'unknown', codeIn(message) ?? codeIn(code))
}

function codeIn (text: unknown): string | undefined {
  return typeof text === 'string' ? /^[A-Z][A-Z0-9_]{2,47}\b/.exec(text)?.[0] : undefined
}
