import { is, type Call, type Span, type Token } from './tokens.ts'

/** A replacement of a part of a text. */
export interface Edit {
  readonly start: number
  readonly end: number
  readonly text: string
}

export function applied (text: string, edits: readonly Edit[]): string {
  const sorted = [...edits].sort((a, b) => b.start - a.start)
  return sorted.reduce((result, { start, end, text }) => result.slice(0, start) + text + result.slice(end), text)
}

/** A statement that is one call, `await app.register(…)`, on lines of its own. */
export interface CallStatement {
  /** Whole lines, with the last line break. */
  readonly start: number
  readonly end: number
  readonly indent: string
  readonly awaited: boolean
  /** Whether it stands in a branch or a loop. */
  readonly conditional: boolean
  /** Whether `await` may be written here. */
  readonly awaitable: boolean
  /** The text before `.name`. */
  readonly receiver: string
}

/** After these a statement is over only if the line is, and nothing of an `if` depends on what follows. */
const dependent: ReadonlySet<string> = new Set([
  'else', 'do', 'return', 'throw', 'yield', 'await', 'new', 'typeof', 'void', 'delete', 'in', 'of', 'case', 'default'
])
const endings: ReadonlySet<string> = new Set([';', '{', '}', ')', ']'])

/** The statement of a call; undefined where it cannot be taken out without changing its neighbours. */
export function statementOf (text: string, tokens: readonly Token[], { nameIndex, endIndex }: Call): CallStatement | undefined {
  const first = receiverStart(tokens, nameIndex)
  const from = is(tokens[first - 1], 'await') || is(tokens[first - 1], 'void') ? first - 1 : first
  const semicolon = is(tokens[endIndex + 1], ';')
  const last = tokens[semicolon ? endIndex + 1 : endIndex]
  const [begin, receiver] = [tokens[from], tokens[first]]
  const dot = tokens[nameIndex - 1]
  if (begin === undefined || receiver === undefined || last === undefined || dot === undefined) return undefined
  const start = text.lastIndexOf('\n', begin.start - 1) + 1
  const indent = text.slice(start, begin.start)
  const lineEnd = text.indexOf('\n', last.end)
  const end = lineEnd === -1 ? text.length : lineEnd + 1
  if (indent.trim() !== '' || text.slice(last.end, end).trim() !== '') return undefined
  if (!endsBefore(tokens, from) || (!semicolon && continues(tokens[endIndex + 1]))) return undefined
  const awaited = from !== first && is(begin, 'await')
  const awaitable = awaited || (from === first && isAsync(tokens, from))
  const conditional = isConditional(tokens, from)
  return { start, end, indent, awaited, conditional, awaitable, receiver: text.slice(receiver.start, dot.start) }
}

/** `app`, `this.app`: names with dots. A chain of calls is not taken apart. */
function receiverStart (tokens: readonly Token[], nameIndex: number): number {
  let index = nameIndex
  while (is(tokens[index - 1], '.') && tokens[index - 2]?.type === 'IdentifierName') index -= 2
  return index
}

function endsBefore (tokens: readonly Token[], from: number): boolean {
  const previous = tokens[from - 1]
  if (previous === undefined) return true
  if (is(previous, ')')) return !isHead(tokens, from - 1)
  if (previous.type === 'Punctuator') return endings.has(previous.value)
  return !dependent.has(previous.value)
}

const headed: ReadonlySet<string> = new Set(['if', 'for', 'while', 'switch', 'catch', 'with', 'await'])
const branching: ReadonlySet<string> = new Set(['else', 'do', 'try', 'catch', 'finally', 'case', 'default', ';', '{'])
const elsewhere: ReadonlySet<string> = new Set(['=>', '(', ',', '=', '[', 'return', '?', 'class'])

/** Whether a block around a statement is one that may be left out, in this function or around it. */
function isConditional (tokens: readonly Token[], from: number): boolean {
  for (let open = opening(tokens, from); open !== -1; open = opening(tokens, open)) {
    if (is(tokens[open], '{') && isBranch(tokens, open)) return true
  }
  return false
}

/** What is not seen to be a function, a class or an object is a branch. */
function isBranch (tokens: readonly Token[], open: number): boolean {
  for (let index = open - 1; index >= 0; index--) {
    const token = tokens[index]
    if (is(token, ')')) return headed.has(tokens[opening(tokens, index) - 1]?.value ?? '')
    if (is(token, '}') || is(token, ']')) index = opening(tokens, index)
    else if (token?.type !== 'StringLiteral' && branching.has(token?.value ?? '')) return true
    else if (token?.type !== 'StringLiteral' && elsewhere.has(token?.value ?? '')) return false
  }
  return true
}

const blocks: ReadonlySet<string> = new Set(['if', 'for', 'while', 'else', 'try', 'catch', 'finally', 'do', 'switch'])
const stops: ReadonlySet<string> = new Set([';', '{', '}', ',', '=', '(', '['])

/** Whether the innermost function around a statement is async. What is not seen for certain is not. */
function isAsync (tokens: readonly Token[], from: number): boolean {
  const open = opening(tokens, from)
  for (let index = open - 1; index >= 0; index--) {
    const token = tokens[index]
    if (is(token, ')')) index = opening(tokens, index)
    else if (is(token, 'async')) return true
    else if (is(token, 'function')) return is(tokens[index - 1], 'async')
    else if (token !== undefined && blocks.has(token.value)) return isAsync(tokens, index)
    else if (token === undefined || stops.has(token.value)) return false
  }
  return false
}

/** The index of the bracket around what stands before `at`. */
function opening (tokens: readonly Token[], at: number): number {
  let depth = 0
  for (let index = at - 1; index >= 0; index--) {
    const { type = '', value = '' } = tokens[index] ?? {}
    if (type === 'TemplateTail' || (type === 'Punctuator' && [')', ']', '}'].includes(value))) depth++
    else if ((type === 'TemplateHead' || (type === 'Punctuator' && ['(', '[', '{'].includes(value))) && --depth < 0) return index
  }
  return -1
}

/** Whether this bracket ends the head of an `if` or a loop. */
function isHead (tokens: readonly Token[], close: number): boolean {
  let depth = 0
  for (let index = close; index >= 0; index--) {
    if (is(tokens[index], ')')) depth++
    if (is(tokens[index], '(') && --depth === 0) {
      return ['if', 'for', 'while', 'with', 'await'].includes(tokens[index - 1]?.value ?? '')
    }
  }
  return true
}

function continues (next: Token | undefined): boolean {
  if (next === undefined) return false
  if (next.type === 'IdentifierName') return ['in', 'instanceof', 'as', 'satisfies'].includes(next.value)
  return next.type === 'Punctuator' ? next.value !== '}' && next.value !== '...' && next.value !== '@' : /Template/.test(next.type)
}

/** Removals of whole lines, with the blank line that would be left at the beginning of a block, or beside another. */
export function withoutGaps (text: string, edits: readonly Edit[]): readonly Edit[] {
  return merged(edits).map(edit => isLines(text, edit) ? { ...edit, ...closed(text, edit) } : edit)
}

/** Removals that touch are one. */
function merged (edits: readonly Edit[]): readonly Edit[] {
  const result: Edit[] = []
  for (const edit of [...edits].sort((a, b) => a.start - b.start)) {
    const last = result.at(-1)
    const touches = last !== undefined && last.text === '' && edit.text === '' && last.end === edit.start
    if (touches) result.splice(-1, 1, { ...last, end: edit.end })
    else result.push(edit)
  }
  return result
}

function isLines (text: string, { start, end, text: put }: Edit): boolean {
  return put === '' && end > start && (start === 0 || text[start - 1] === '\n') && text[end - 1] === '\n'
}

function closed (text: string, { start, end }: Edit): { start: number, end: number } {
  const [before, after] = [text.slice(0, start), text.slice(end)]
  const blank = /^[ \t]*\r?\n/.exec(after)?.[0].length ?? 0
  if (blank > 0 && opensOrGap(before)) return { start, end: end + blank }
  const gap = /\n([ \t]*\r?\n)$/.exec(before)?.[1]?.length ?? 0
  return { start: /^[ \t]*[}\])]|^$/.test(after) ? start - gap : start, end }
}

/** Whether the line before is none, blank, or the first of a block. */
function opensOrGap (before: string): boolean {
  const line = before.split('\n').at(-2)?.trim() ?? ''
  return line === '' || /[{[(]$/.test(line)
}

/** Whether a part of a source reads the environment. */
export function readsEnvironment ({ tokens }: Pick<Span, 'tokens'>): boolean {
  return tokens.some((token, index) => is(token, 'process') && is(tokens[index + 1], '.') && is(tokens[index + 2], 'env'))
}
