import type { Change } from './sources.ts'
import { shown } from './sources.ts'

const context = 3

interface Line {
  readonly kind: ' ' | '-' | '+'
  readonly text: string
}

/** A unified diff as git and patch take it, with paths from a folder. */
export function unifiedDiff (changes: readonly Change[], folder: string): string {
  return changes.map(change => fileDiff(change, shown(change.file, folder))).join('')
}

function fileDiff ({ before, after }: Change, path: string): string {
  const [from, to] = [before === undefined ? '/dev/null' : `a/${path}`, after === undefined ? '/dev/null' : `b/${path}`]
  const mode = before === undefined ? 'new file mode 100644\n' : after === undefined ? 'deleted file mode 100644\n' : ''
  const hunks = hunksOf(compared(linesOf(before ?? ''), linesOf(after ?? '')))
  return `diff --git a/${path} b/${path}\n${mode}--- ${from}\n+++ ${to}\n${hunks}`
}

/** Lines with their breaks: a last line without one is marked. */
function linesOf (text: string): string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? []
}

/** The shortest way from one to the other, by longest common subsequence between what both ends share. */
function compared (before: readonly string[], after: readonly string[]): readonly Line[] {
  let start = 0
  while (start < before.length && start < after.length && before[start] === after[start]) start++
  let end = 0
  while (end < before.length - start && end < after.length - start && before.at(-1 - end) === after.at(-1 - end)) end++
  const same = (lines: readonly string[]): Line[] => lines.map(text => ({ kind: ' ', text }))
  return [
    ...same(before.slice(0, start)),
    ...middle(before.slice(start, before.length - end), after.slice(start, after.length - end)),
    ...same(end === 0 ? [] : before.slice(-end))
  ]
}

function middle (before: readonly string[], after: readonly string[]): Line[] {
  const lengths = common(before, after)
  const lines: Line[] = []
  let [i, j] = [0, 0]
  while (i < before.length || j < after.length) {
    const [old, young] = [before[i], after[j]]
    if (old !== undefined && old === young) {
      lines.push({ kind: ' ', text: old })
      i++
      j++
    } else if (old !== undefined && (young === undefined || (lengths[i + 1]?.[j] ?? 0) >= (lengths[i]?.[j + 1] ?? 0))) {
      lines.push({ kind: '-', text: old })
      i++
    } else {
      lines.push({ kind: '+', text: young ?? '' })
      j++
    }
  }
  return lines
}

/** How many lines the rests from `i` and from `j` have in common. */
function common (before: readonly string[], after: readonly string[]): readonly Uint32Array[] {
  const lengths = Array.from({ length: before.length + 1 }, () => new Uint32Array(after.length + 1))
  for (let i = before.length - 1; i >= 0; i--) {
    for (let j = after.length - 1; j >= 0; j--) {
      const row = lengths[i]
      if (row === undefined) continue
      row[j] = before[i] === after[j] ? (lengths[i + 1]?.[j + 1] ?? 0) + 1 : Math.max(lengths[i + 1]?.[j] ?? 0, row[j + 1] ?? 0)
    }
  }
  return lengths
}

function hunksOf (lines: readonly Line[]): string {
  const changed = lines.flatMap(({ kind }, index) => kind === ' ' ? [] : [index])
  const ranges: Array<[from: number, to: number]> = []
  for (const index of changed) {
    const last = ranges.at(-1)
    if (last !== undefined && index - last[1] <= 2 * context) last[1] = index
    else ranges.push([index, index])
  }
  return ranges.map(([from, to]) => hunk(lines, Math.max(0, from - context), Math.min(lines.length, to + context + 1))).join('')
}

function hunk (lines: readonly Line[], from: number, to: number): string {
  const count = (part: readonly Line[], other: Line['kind']) => part.filter(({ kind }) => kind !== other).length
  const [before, here] = [lines.slice(0, from), lines.slice(from, to)]
  const range = (other: Line['kind']) => {
    const length = count(here, other)
    return `${count(before, other) + (length === 0 ? 0 : 1)},${length}`
  }
  return `@@ -${range('+')} +${range('-')} @@\n${here.map(({ kind, text }) =>
    text.endsWith('\n') ? `${kind}${text}` : `${kind}${text}\n\\ No newline at end of file\n`).join('')}`
}
