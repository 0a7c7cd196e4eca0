/** Below that the load was the limit, or something else ran on the machine: such a pair says nothing about the server. */
export const BUSY = 0.9

/** Pairs in which both servers had their core to themselves; all of them, and marked, where there is none. */
export function undisturbed (pairs) {
  const clean = pairs.filter(({ busy }) => busy >= BUSY)
  return clean.length > 0 ? clean : pairs
}
