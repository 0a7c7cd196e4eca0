const QUOTE = 0x22
const COMMA = 0x2c
const COLON = 0x3a
const BACKSLASH = 0x5c
/** `{` and `[`, and `}` and `]`, differ in one bit. */
const BRACKET = 0x20
const OPEN = 0x7b
const CLOSE = 0x7d

interface JsonShape {
  /** Of the outermost object: each has one colon at that depth. */
  readonly members: number
  /** How many objects and lists are inside one another at most. */
  readonly depth: number
  /** How many objects and lists there are. */
  readonly brackets: number
  /** What a parser makes of it: about 40 ns for each unit, where a value counts one, and a name, an object and a list two more. */
  readonly weight: number
}

/**
 * What a JSON text will cost a parser, before anybody has parsed it: of its length brackets take ten times as long as anything else, unless
 * they stand in a string. One pass, which ends where the weight is more than `most`; of any other text the numbers mean nothing.
 */
export function jsonShape (text: string, most = Infinity): JsonShape {
  let [open, depth, members, brackets, weight] = [0, 0, 0, 0, 0]
  for (let index = 0; index < text.length && weight <= most; index++) {
    const code = text.charCodeAt(index)
    if (code === QUOTE) index = endOfString(text, index)
    else if (code === COMMA) weight++
    else if (code === COLON) {
      weight += 2
      if (open === 1) members++
    } else if ((code | BRACKET) === OPEN) {
      weight += 2
      brackets++
      if (++open > depth) depth = open
    } else if ((code | BRACKET) === CLOSE) open--
  }
  return { members, depth, brackets, weight }
}

/** How far a quote is looked for one by one. For most strings that is faster than a call of `indexOf`, which is faster for long ones. */
const NEAR = 16

/** The index of the closing quote, or behind the end of the text. */
function endOfString (text: string, start: number): number {
  let index = start + 1
  while (index < text.length) {
    for (const end = Math.min(index + NEAR, text.length); index < end; index++) {
      const code = text.charCodeAt(index)
      if (code === QUOTE) return index
      if (code === BACKSLASH) index++
    }
    const far = text.indexOf('"', index)
    if (far === -1 || !isEscaped(text, far, index)) return far === -1 ? text.length : far
    index = far + 1
  }
  return index
}

/** By an odd number of backslashes, of which the first is not before `from`. */
function isEscaped (text: string, quote: number, from: number): boolean {
  let first = quote
  while (first > from && text.charCodeAt(first - 1) === BACKSLASH) first--
  return (quote - first) % 2 === 1
}
