/**
 * - `timeout`: no answer within the deadline. `connection`: refused, closed, or unknown host. `tls`: no encrypted connection.
 * - `ended`: the client is closed, or has given up; it does not connect by itself.
 * - `authentication`: a missing or wrong password or user. `permission`: the user may not run the commands or use these keys.
 * - `cluster`: a single node of a cluster, which serves its own keys only.
 * - `out-of-memory`, `read-only`, `loading`: the state of the server. `script`, `reply`: it does not behave like Redis.
 */
export type StoreFailureReason =
  'timeout' | 'connection' | 'ended' | 'tls' | 'authentication' | 'permission' | 'cluster' | 'out-of-memory' | 'read-only' | 'loading' |
  'script' | 'reply' | 'unknown'

/** Redis failed. `reason` is from a fixed list, `code` has capitals and digits only: the client's own text may contain secrets. */
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

/** Messages of Redis and its clients. */
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

/** Classifies a client's error. Its text may contain an address, a user or the command: only a first word in capitals is kept. */
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
