import jsTokens from 'js-tokens'

/** A token of a source with its place in the text. */
export interface Token {
  readonly type: string
  readonly value: string
  readonly start: number
  readonly end: number
}

/** A part of the text: from its first token to the end of its last. */
export interface Span {
  readonly start: number
  readonly end: number
  /** The tokens that mean something, without blanks and comments. */
  readonly tokens: readonly Token[]
}

const silent: ReadonlySet<string> = new Set([
  'WhiteSpace', 'LineTerminatorSequence', 'SingleLineComment', 'MultiLineComment', 'HashbangComment'
])

/** The tokens of a source that mean something. */
export function tokensOf (text: string): readonly Token[] {
  const tokens: Token[] = []
  let at = 0
  for (const { type, value } of jsTokens(text)) {
    if (!silent.has(type)) tokens.push({ type, value, start: at, end: at + value.length })
    at += value.length
  }
  return tokens
}

export function is (token: Token | undefined, value: string): boolean {
  return token?.value === value && (token.type === 'Punctuator' || token.type === 'IdentifierName')
}

function opens ({ type, value }: Token): boolean {
  return type === 'TemplateHead' || (type === 'Punctuator' && (value === '(' || value === '[' || value === '{'))
}

function closes ({ type, value }: Token): boolean {
  return type === 'TemplateTail' || (type === 'Punctuator' && (value === ')' || value === ']' || value === '}'))
}

const partners: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' }

/** The index of the token that closes what the token at `open` opens. */
export function closing (tokens: readonly Token[], open: number): number | undefined {
  const expected: string[] = []
  for (let index = open; index < tokens.length; index++) {
    const token = tokens[index]
    if (token === undefined) return undefined
    if (opens(token)) expected.push(partners[token.value] ?? 'template')
    else if (closes(token)) {
      if (expected.pop() !== (token.type === 'TemplateTail' ? 'template' : token.value)) return undefined
      if (expected.length === 0) return index
    }
  }
  return undefined
}

/** Tokens split at the commas between them; `undefined` where brackets do not match. A comma at the end adds nothing. */
export function split (tokens: readonly Token[]): readonly Span[] | undefined {
  const parts: Token[][] = [[]]
  for (let index = 0; index < tokens.length; index++) {
    const token = tokens[index]
    if (token === undefined || closes(token)) return undefined
    const end = opens(token) ? closing(tokens, index) : index
    if (end === undefined) return undefined
    if (is(token, ',')) parts.push([])
    else parts.at(-1)?.push(...tokens.slice(index, end + 1))
    index = end
  }
  if (parts.at(-1)?.length === 0) parts.pop()
  const spans = parts.map(spanOf)
  return spans.some(span => span === undefined) ? undefined : spans as Span[]
}

export function spanOf (tokens: readonly Token[]): Span | undefined {
  const [first, last] = [tokens[0], tokens.at(-1)]
  return first === undefined || last === undefined ? undefined : { start: first.start, end: last.end, tokens }
}

/** What stands between the brackets of a literal that is all of the span. */
export function within ({ tokens }: Span, open: '{' | '['): readonly Span[] | undefined {
  if (!is(tokens[0], open) || closing(tokens, 0) !== tokens.length - 1) return undefined
  return split(tokens.slice(1, -1))
}

export interface Property extends Span {
  /** Undefined for `...spread`. */
  readonly key: string | undefined
  /** Undefined for a shorthand, a method or a spread. */
  readonly value: Span | undefined
}

/** The properties of an object literal; undefined where one has a form that is not known for certain. */
export function propertiesOf (span: Span): readonly Property[] | undefined {
  const properties = within(span, '{')?.map(propertyOf)
  return properties === undefined || properties.some(property => property === undefined) ? undefined : properties as Property[]
}

function propertyOf (span: Span): Property | undefined {
  const [first, second] = span.tokens
  if (first === undefined) return undefined
  if (is(first, '...')) return { ...span, key: undefined, value: undefined }
  const key = keyOf(first)
  if (key === undefined) return undefined
  if (second === undefined) return first.type === 'IdentifierName' ? { ...span, key, value: undefined } : undefined
  if (is(second, ':')) {
    const value = spanOf(span.tokens.slice(2))
    return value && { ...span, key, value }
  }
  return methodOf(span, key)
}

/** `name (…) {…}`, `async name (…) {…}`, with or without a type of the result. */
function methodOf (span: Span, key: string): Property | undefined {
  const async = key === 'async' && span.tokens[1]?.type === 'IdentifierName'
  const open = async ? 2 : 1
  if (!is(span.tokens[open], '(') || !is(span.tokens.at(-1), '}')) return undefined
  return { ...span, key: async ? span.tokens[1]?.value : key, value: undefined }
}

function keyOf (token: Token): string | undefined {
  if (token.type === 'IdentifierName') return token.value
  return stringOf(token)
}

/** What a plain text says; undefined for one with escapes. */
export function stringOf (token: Token | undefined): string | undefined {
  if (token === undefined || (token.type !== 'StringLiteral' && token.type !== 'NoSubstitutionTemplate')) return undefined
  const text = token.value.slice(1, -1)
  return text.includes('\\') ? undefined : text
}

/** A call in a source. */
export interface Call {
  readonly name: Token
  /** From the first token of `app.get` or `await app.register` to the closing bracket. */
  readonly arguments: readonly Span[]
  /** Index of the name and of the closing bracket among all tokens. */
  readonly nameIndex: number
  readonly endIndex: number
}

/** Where a line and a column, both from 1, lie in a text. */
function offsetOf (text: string, line: number, column: number): number {
  let start = 0
  for (let seen = 1; seen < line; seen++) {
    const end = text.indexOf('\n', start)
    if (end === -1) return text.length
    start = end + 1
  }
  return start + column - 1
}

/**
 * The call that stands at a place of a stack. V8 names the method's name; loaders whose source maps are coarse name
 * the beginning of the expression.
 */
export function callAt (text: string, tokens: readonly Token[], { line, column }: { line: number, column: number },
  names: ReadonlySet<string>): Call | undefined {
  const offset = offsetOf(text, line, column)
  const at = tokens.findIndex(token => token.end > offset)
  if (at === -1) return undefined
  for (let index = at; index < Math.min(at + 4, tokens.length); index++) {
    const token = tokens[index]
    if (token?.type === 'IdentifierName' && names.has(token.value) && is(tokens[index - 1], '.')) return callOf(tokens, index)
    if (token?.type !== 'IdentifierName' && !is(token, '.')) return undefined
  }
  return undefined
}

function callOf (tokens: readonly Token[], nameIndex: number): Call | undefined {
  const name = tokens[nameIndex]
  const open = afterGenerics(tokens, nameIndex + 1)
  if (name === undefined || !is(tokens[open], '(')) return undefined
  const endIndex = closing(tokens, open)
  const parts = endIndex === undefined ? undefined : split(tokens.slice(open + 1, endIndex))
  return endIndex === undefined || parts === undefined ? undefined : { name, arguments: parts, nameIndex, endIndex }
}

/** Type arguments of TypeScript: `<{ Params: Id }>`; a `>` of an arrow is none of theirs. */
function afterGenerics (tokens: readonly Token[], index: number): number {
  if (!is(tokens[index], '<')) return index
  let depth = 0
  for (let at = index; at < tokens.length; at++) {
    const { value = '', type = '' } = tokens[at] ?? {}
    if (type !== 'Punctuator') continue
    if (value === '<') depth++
    else if (/^>+$/.test(value)) depth -= value.length
    if (depth <= 0) return at + 1
  }
  return index
}
