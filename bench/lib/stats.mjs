/** @param {readonly number[]} values */
export function median (values) {
  return quantile(values, 0.5)
}

/**
 * Linear interpolation between the two nearest ranks.
 * @param {readonly number[]} values
 * @param {number} part from 0 to 1
 */
export function quantile (values, part) {
  const sorted = [...values].sort((a, b) => a - b)
  if (sorted.length === 0) return NaN
  const rank = (sorted.length - 1) * part
  const low = Math.floor(rank)
  const [below, above] = [sorted[low], sorted[Math.ceil(rank)]]
  return below + (above - below) * (rank - low)
}

/** @param {readonly number[]} values */
export function summary (values) {
  return { median: median(values), low: quantile(values, 0.25), high: quantile(values, 0.75), count: values.length }
}

/**
 * The slope of the least-squares line: how much y grows for each unit of x.
 * @param {readonly { readonly x: number, readonly y: number }[]} points
 */
export function slope (points) {
  const meanX = mean(points.map(({ x }) => x))
  const meanY = mean(points.map(({ y }) => y))
  const spread = points.reduce((sum, { x }) => sum + (x - meanX) ** 2, 0)
  return spread === 0 ? 0 : points.reduce((sum, { x, y }) => sum + (x - meanX) * (y - meanY), 0) / spread
}

/** @param {readonly number[]} values */
export function mean (values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}
