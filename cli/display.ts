/** Unicode 16 East Asian Width W and F, as blocks: what a terminal shows two columns wide. */
const wideBlocks = [
  '\\u{1100}-\\u{115f}', '\\u{2e80}-\\u{303e}', '\\u{3041}-\\u{33ff}', '\\u{3400}-\\u{4dbf}', '\\u{4e00}-\\u{9fff}',
  '\\u{a000}-\\u{a4cf}', '\\u{a960}-\\u{a97c}', '\\u{ac00}-\\u{d7a3}', '\\u{f900}-\\u{faff}', '\\u{fe30}-\\u{fe6f}',
  '\\u{ff00}-\\u{ff60}', '\\u{ffe0}-\\u{ffe6}', '\\u{1f300}-\\u{1f64f}', '\\u{1f900}-\\u{1f9ff}', '\\u{20000}-\\u{3fffd}'
]
const wide = new RegExp(`[${wideBlocks.join('')}]|\\p{Emoji_Presentation}|\\u{fe0f}`, 'u')

const segmenter = new Intl.Segmenter('en', { granularity: 'grapheme' })

/** What people see as one character, whatever it is made of. */
function graphemes (text: string): string[] {
  return Array.from(segmenter.segment(text), ({ segment }) => segment)
}

/** Columns that a text takes on a terminal. Expects no escape sequences; see {@link printable}. */
export function displayWidth (text: string): number {
  return graphemes(text).reduce((sum, grapheme) => sum + (wide.test(grapheme) ? 2 : 1), 0)
}

/** Filled with blanks up to a width. */
export function padEnd (text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - displayWidth(text)))
}

/** Cut to a width, with an ellipsis in the place of what is gone. */
export function truncate (text: string, width: number): string {
  if (displayWidth(text) <= width) return text
  let [kept, left] = ['', width - 1]
  for (const grapheme of graphemes(text)) {
    left -= displayWidth(grapheme)
    if (left < 0) break
    kept += grapheme
  }
  return width < 1 ? '' : `${kept}…`
}

/** Words on lines of a width. A word that is longer stays whole. */
export function wrap (text: string, width: number): string[] {
  const lines = ['']
  for (const word of text.split(' ')) {
    const line = lines.at(-1) ?? ''
    if (line === '') lines[lines.length - 1] = word
    else if (displayWidth(line) + 1 + displayWidth(word) <= width) lines[lines.length - 1] = `${line} ${word}`
    else lines.push(word)
  }
  return lines
}

/** Control characters, and those that turn the direction of a text, as escapes: nobody's name moves the cursor or hides a word. */
export function printable (text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}\u{061c}\u{200b}\u{200e}\u{200f}\u{202a}-\u{202e}\u{2066}-\u{2069}\u{feff}]/gu,
    found => `\\u{${found.codePointAt(0)?.toString(16)}}`)
}
