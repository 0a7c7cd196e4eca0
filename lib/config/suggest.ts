/** The candidate that `name` is probably a misspelling of. */
export function suggest (name: string, candidates: readonly string[]): string | undefined {
  const measured = candidates.map(candidate => ({ candidate, distance: similarity(name.toLowerCase(), candidate.toLowerCase()) }))
  const [best] = measured.sort((one, other) => one.distance - other.distance)
  return best !== undefined && best.distance <= Math.max(1, Math.floor(best.candidate.length / 3)) ? best.candidate : undefined
}

/** Edit distance; a name that merely wraps the candidate (`allowedOrigins`, `origins`) counts as one edit. */
function similarity (name: string, candidate: string): number {
  if (name === candidate) return 0
  if (candidate.length > 3 && name.length > 3 && (name.includes(candidate) || candidate.includes(name))) return 1
  return editDistance(name, candidate)
}

/** Levenshtein distance with adjacent transpositions, the most common slip, as one edit. */
export function editDistance (a: string, b: string): number {
  let above: number[] = []
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      const swap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? (above[j - 2] ?? 0) + 1 : Infinity
      next.push(Math.min(substitution, swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    above = row
    row = next
  }
  return row[b.length] ?? 0
}
