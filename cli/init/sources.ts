import { readFileSync } from 'node:fs'
import { relative } from 'node:path'
import { applied, withoutGaps, type Edit } from './statement.ts'
import { is, stringOf, tokensOf, type Token } from './tokens.ts'

export interface Source {
  readonly file: string
  readonly text: string
  readonly tokens: readonly Token[]
}

/** A file before and after; undefined where there is none. */
export interface Change {
  readonly file: string
  readonly before: string | undefined
  readonly after: string | undefined
}

/** The files of the application that are looked at, and what is to become of them. */
export class Sources {
  readonly #known = new Map<string, Source | undefined>()
  readonly #edits = new Map<string, Edit[]>()
  readonly #whole = new Map<string, string | undefined>()

  /** Undefined for a file of a package, or one that cannot be read: nothing there is changed. */
  get (file: string | undefined): Source | undefined {
    if (file === undefined || isPackage(file)) return undefined
    if (!this.#known.has(file)) this.#known.set(file, read(file))
    return this.#known.get(file)
  }

  all (): readonly Source[] {
    return [...this.#known.values()].filter(source => source !== undefined)
  }

  /** Edits that would change what another has changed are left out: `false`. */
  edit (file: string, edits: readonly Edit[]): boolean {
    const before = this.#edits.get(file) ?? []
    if (this.#whole.has(file) || edits.some(edit => before.some(other => collide(edit, other)))) return false
    this.#edits.set(file, [...before, ...edits])
    return true
  }

  /** Replaces a whole file; undefined deletes it. */
  put (file: string, text: string | undefined): void {
    this.#whole.set(file, text)
  }

  changes (): readonly Change[] {
    const whole = [...this.#whole].map(([file, after]): Change => ({ file, before: read(file)?.text, after }))
    const edited = this.results().map(({ file, after }): Change => ({ file, before: this.get(file)?.text, after }))
    return [...edited, ...whole].filter(({ before, after }) => before !== after).sort((a, b) => a.file < b.file ? -1 : 1)
  }

  /** The text that each file will have; those that are replaced as a whole are not among them. */
  results (): ReadonlyArray<{ readonly file: string, readonly after: string }> {
    return this.all().filter(({ file }) => !this.#whole.has(file)).map(({ file, text }) => {
      const edits = this.#edits.get(file)
      return { file, after: edits === undefined ? text : withoutUnused(text, applied(text, withoutGaps(text, edits))) }
    })
  }
}

export function isPackage (file: string): boolean {
  return /[\\/]node_modules[\\/]/.test(file)
}

function collide (a: Edit, b: Edit): boolean {
  return a.start < b.end && b.start < a.end
}

function read (file: string): Source | undefined {
  try {
    const text = readFileSync(file, 'utf8')
    return { file, text, tokens: tokensOf(text) }
  } catch {
    return undefined
  }
}

/** Lines that import a name which only the removed parts used. */
function withoutUnused (before: string, after: string): string {
  const counts = countNames(tokensOf(before))
  const tokens = tokensOf(after)
  const left = countNames(tokens)
  const edits = tokens.flatMap((_token, index) => {
    const found = importAt(tokens, index)
    return found === undefined || left.get(found.name) !== 1 || counts.get(found.name) === 1 ? [] : lineOf(after, found.start, found.end)
  })
  return applied(after, withoutGaps(after, edits))
}

function countNames (tokens: readonly Token[]): Map<string, number> {
  const counts = new Map<string, number>()
  tokens.forEach(({ type, value }, index) => {
    const [previous, next] = [tokens[index - 1], tokens[index + 1]]
    const isMember = is(previous, '.') || is(previous, '?.') || (is(next, ':') && !is(previous, '?'))
    if (type === 'IdentifierName' && !isMember) counts.set(value, (counts.get(value) ?? 0) + 1)
  })
  return counts
}

/** `import name from 'x'` and `const name = require('x')`. */
function importAt (tokens: readonly Token[], index: number): { name: string, start: number, end: number } | undefined {
  const [first, name, joint, ...rest] = tokens.slice(index, index + 8)
  if (first === undefined || name?.type !== 'IdentifierName') return undefined
  if (is(first, 'import') && is(joint, 'from') && stringOf(rest[0]) !== undefined) {
    return { name: name.value, start: first.start, end: (is(rest[1], ';') ? rest[1] : rest[0])?.end ?? first.end }
  }
  const requires = is(first, 'const') && is(joint, '=') && is(rest[0], 'require') && is(rest[1], '(') &&
    stringOf(rest[2]) !== undefined && is(rest[3], ')')
  if (!requires) return undefined
  return { name: name.value, start: first.start, end: (is(rest[4], ';') ? rest[4] : rest[3])?.end ?? first.end }
}

function lineOf (text: string, start: number, end: number): readonly Edit[] {
  const from = text.lastIndexOf('\n', start - 1) + 1
  const lineEnd = text.indexOf('\n', end)
  const to = lineEnd === -1 ? text.length : lineEnd + 1
  return text.slice(from, start).trim() === '' && text.slice(end, to).trim() === '' ? [{ start: from, end: to, text: '' }] : []
}

/** As people name a file: from where they are. */
export function shown (file: string, cwd: string): string {
  return relative(cwd, file).replaceAll('\\', '/')
}
