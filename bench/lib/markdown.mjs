/**
 * @param {readonly string[]} heads
 * @param {readonly (readonly (string | number)[])[]} rows
 */
export function table (heads, rows) {
  return [heads, heads.map(() => '---'), ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n')
}

/** Two digits that mean something: 0.75, 0.085, 0.0041. */
export function ratio (value) {
  if (!Number.isFinite(value)) return '–'
  return value >= 0.1 || value === 0 ? value.toFixed(2) : value.toPrecision(2)
}

export function megabytes (bytes) {
  return (bytes / 2 ** 20).toFixed(0)
}

/**
 * @template Row @param {readonly Row[]} rows @param {(row: Row) => string} key @returns {[string, Row[]][]} in the order of first
 * appearance
 */
export function grouped (rows, key) {
  const groups = new Map()
  for (const row of rows) {
    const name = key(row)
    if (!groups.has(name)) groups.set(name, [])
    groups.get(name).push(row)
  }
  return [...groups]
}
