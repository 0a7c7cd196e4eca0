import { hash } from 'node:crypto'

/** A Lua script and its hash. */
export interface Script {
  readonly source: string
  readonly sha: string
}

/** Make it once: this computes the hash. */
export function script (source: string): Script {
  return Object.freeze({ source, sha: hash('sha1', source) })
}

/** Runs scripts on one Redis. */
export interface ScriptRunner {
  /** Whether the keys of one call must share a hash tag. */
  readonly cluster: boolean
  run (script: Script, keys: readonly string[], args: readonly string[]): Promise<unknown>
  /** The last error of the client's connection; undefined once it is ready again. */
  lastError? (): unknown
}
