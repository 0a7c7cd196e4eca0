/** JSON leaves as they are: DEL, C1, the marks that turn text around, and what else than `\n` ends a line somewhere. */
const unsafe = /[\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g

/**
 * A document as one line for every reader: a terminal obeys U+009B as it does the escape character, and Python ends a line at U+0085.
 * Callers choose such text in headers. Escaped, it reads as the same value.
 */
export function jsonLine (document: object): string {
  const json = jsonText(document)
  if (!json?.startsWith('{')) throw new TypeError('an audit document is an object that JSON can hold')
  return json
}

/** A value within a line. Undefined for what JSON cannot hold. */
export function jsonText (value: unknown): string | undefined {
  const json = JSON.stringify(value) as string | undefined
  return json?.replace(unsafe, found => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
