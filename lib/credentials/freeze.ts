/**
 * Freezes a JSON value and everything in it, in place. Iterative: a signed token may nest thousands of arrays in
 * 8 KiB, and a stack overflow would be an exception that the caller can cause.
 */
export function deepFreeze<T> (value: T): T {
  const pending: unknown[] = [value]
  while (pending.length > 0) {
    const next = pending.pop()
    if (typeof next !== 'object' || next === null || Object.isFrozen(next)) continue
    Object.freeze(next)
    pending.push(...Object.values(next))
  }
  return value
}
