/** A table as GitHub writes it. Its cells are Markdown. */
export function table (titles: readonly string[], rows: ReadonlyArray<readonly string[]>): string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(titles), line(titles.map(() => '---')), ...rows.map(line)]
}

/** A code span holds backticks inside a longer fence (CommonMark §6.1); a pipe ends a cell even there (GFM §4.10). */
export function code (text: string): string {
  const longest = Math.max(0, ...[...text.matchAll(/`+/g)].map(([ticks]) => ticks.length))
  const fence = '`'.repeat(longest + 1)
  const pad = longest > 0 ? ' ' : ''
  return `${fence}${pad}${oneLine(text).replaceAll('|', '\\|')}${pad}${fence}`
}

/** Backticks stay: the texts of the fixes hold code. */
export function escaped (text: string): string {
  return oneLine(text).replaceAll(/[\\|*_<>[\]]/g, '\\$&')
}

function oneLine (text: string): string {
  return text.replaceAll(/\s+/g, ' ')
}
