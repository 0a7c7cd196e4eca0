/** Two independent hashes of a text. */
export interface Hashes { readonly one: number, readonly two: number }

/** MurmurHash3's finalizer: every bit of the input changes half of the output. */
function mixed (hash: number): number {
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

/**
 * No secret and no signature: callers cannot choose their names, and who could would only make an estimate worse. A `SHA-256` of each
 * request would cost more than all the rest.
 */
export function hashesOf (text: string, seed: Hashes = { one: 0x811c9dc5, two: 0x9e3779b9 }): Hashes {
  let { one, two } = seed
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index)
    one = Math.imul(one ^ unit, 0x01000193)
    two = Math.imul(two ^ unit, 0x5bd1e995)
  }
  return { one: mixed(one), two: mixed(two ^ text.length) }
}
