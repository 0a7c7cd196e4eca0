/** A table in Markdown. */
export function table (head: readonly string[], rows: ReadonlyArray<readonly string[]>): string {
  return [head, head.map(() => '---'), ...rows].map(cells => `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`).join('\n')
}

/** A paragraph on lines of at most 120 characters. Code spans, and words that are longer, stay whole. */
export function paragraph (text: string): string {
  const lines: string[] = []
  for (const [word] of text.matchAll(/(?:`[^`]*`|[^`\s])+/g)) {
    const line = lines.at(-1)
    if (line !== undefined && line.length + 1 + word.length <= 120) lines[lines.length - 1] = `${line} ${word}`
    else lines.push(word)
  }
  return lines.join('\n')
}
