const QUOTE = 0x22
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
}

/**
 * What a JSON text will cost a parser, before anybody has parsed it: of its length brackets take ten times as long as anything else, unless
 * they stand in a string. One pass; of any other text the numbers mean nothing.
 */
export function jsonShape (text: string): JsonShape {
  let [open, depth, members, brackets] = [0, 0, 0, 0]
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code === QUOTE) index = endOfString(text, index)
    else if (code === COLON) members += open === 1 ? 1 : 0
    else if ((code | BRACKET) === OPEN) {
      brackets++
      depth = Math.max(depth, ++open)
    } else if ((code | BRACKET) === CLOSE) open--
  }
  return { members, depth, brackets }
}

/** The index of the closing quote, or the end of the text. */
function endOfString (text: string, start: number): number {
  let end = text.indexOf('"', start + 1)
  while (end !== -1 && isEscaped(text, end)) end = text.indexOf('"', end + 1)
  return end === -1 ? text.length : end
}

/** By an odd number of backslashes. */
function isEscaped (text: string, quote: number): boolean {
  let first = quote
  while (text.charCodeAt(first - 1) === BACKSLASH) first--
  return (quote - first) % 2 === 1
}
