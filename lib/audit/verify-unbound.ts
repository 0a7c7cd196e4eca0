import { hash } from 'node:crypto'
import { mostLines, type SignedMembers } from './chain.ts'
import { isDocument, type Bound, type Line } from './verify-line.ts'
import { joined } from './verify-mend.ts'

/** Lines without a link, until the one comes that binds them. */
export class Unbound {
  #lines: Line[] = []

  /** Returns the oldest where more lines wait than any link binds. */
  add (line: Line): Line | undefined {
    this.#lines.push(line)
    return this.#lines.length < mostLines ? undefined : this.#lines.shift()
  }

  /** The line with those that it binds, and what stands before them and is bound by nothing. */
  bind (line: Bound): { readonly strays: readonly Line[], readonly bound: Bound } {
    const waiting = this.take()
    const own = line.link.lines - 1
    if (own === 0) return { strays: waiting, bound: line }
    const first = Math.max(0, waiting.length - own)
    const lines = waiting.slice(first)
    const bytes = joined([...lines.map(({ bytes }) => bytes), line.bytes])
    const bound = { ...line, line: lines[0]?.line ?? line.line, bytes, missing: own - lines.length }
    return { strays: waiting.slice(0, first), bound }
  }

  /** All that wait. */
  take (): Line[] {
    const lines = this.#lines
    if (lines.length > 0) this.#lines = []
    return lines
  }
}

/** Whether these lines are what a signed line behind them calls the remains of a write. Its number alone is what older chains say. */
export function areRemains (lines: readonly Line[], { torn = 0, remains }: SignedMembers): boolean {
  if (lines.some(({ link, bytes }) => link !== undefined && isDocument(bytes))) return false
  const left = torn - lines.reduce((sum, { bytes }) => sum + bytes.length + 1, -1)
  // The last of them may have ended with a line feed of its own.
  if (left !== 0 && left !== 1) return false
  return remains === undefined || hash('sha256', joined([...lines.map(({ bytes }) => bytes), ...lastOf(left)]), 'base64url') === remains
}

function lastOf (left: number): Buffer[] {
  return left === 0 ? [] : [Buffer.alloc(0)]
}
