/** An element of DER. */
export interface DerElement {
  readonly tag: number
  readonly content: Buffer
  /** With its tag and length. */
  readonly whole: Buffer
}

/**
 * The elements that stand one after the other. Strict: tags of one octet, and definite lengths in their shortest form (X.690 §10.1).
 * Throws for anything else.
 */
export function derElements (bytes: Buffer): DerElement[] {
  const found: DerElement[] = []
  for (let at = 0; at < bytes.length;) {
    const element = elementAt(bytes, at)
    found.push(element)
    at += element.whole.length
  }
  return found
}

function elementAt (bytes: Buffer, at: number): DerElement {
  const [tag = 0x1f, first = 0x80] = bytes.subarray(at, at + 2)
  const octets = first < 0x80 ? 0 : first & 0x7f
  const start = at + 2 + octets
  if ((tag & 0x1f) === 0x1f || first === 0x80 || octets > 4 || start > bytes.length) throw new TypeError('not DER')
  const length = octets === 0 ? first : bytes.readUIntBE(at + 2, octets)
  const shortest = octets === 0 ? 0 : Math.max(0x80, 256 ** (octets - 1))
  if (length < shortest || start + length > bytes.length) throw new TypeError('not DER')
  return { tag, content: bytes.subarray(start, start + length), whole: bytes.subarray(at, start + length) }
}
