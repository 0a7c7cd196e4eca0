import { grouped } from './markdown.mjs'
import { busyOf, costOf, rateOf } from './measure.mjs'
import { undisturbed } from './pairs.mjs'
import { median, summary } from './stats.mjs'

/**
 * What is kept of the pairs of a group: median and quartiles of the paired ratios, medians of the background.
 * @param {readonly import('./measure.mjs').Pair[]} pairs
 */
export function rowsOf (pairs) {
  return grouped(pairs, ({ variant, versus }) => `${variant} ÷ ${versus}`).map(([, own]) => {
    const clean = undisturbed(own)
    const of = read => significant(median(clean.map(({ sample }) => read(sample))))
    return {
      variant: own[0].variant,
      versus: own[0].versus,
      rate: rounded(summary(clean.map(({ rate }) => rate))),
      cost: rounded(summary(clean.map(({ cost }) => cost))),
      cpuUs: of(costOf),
      perSecond: of(rateOf),
      p99: of(({ p99 }) => p99),
      rss: of(({ rss }) => rss),
      busy: of(busyOf),
      expected: of(({ expected }) => expected)
    }
  })
}

/**
 * Rows that agree in `keys` become one: each number its median and quartiles, of anything else the last.
 * @param {readonly object[]} rows @param {readonly string[]} keys
 */
export function collapsed (rows, keys) {
  return grouped(rows, row => JSON.stringify(keys.map(key => row[key]))).map(([, own]) => {
    const last = own.at(-1)
    return Object.fromEntries(Object.keys(last).map(key => [key, !keys.includes(key) && typeof last[key] === 'number'
      ? rounded(summary(own.map(row => row[key])))
      : last[key]]))
  })
}

/** @param {{ median: number, low: number, high: number, count: number }} figures */
export function rounded ({ median, low, high, count }) {
  return { median: significant(median), low: significant(low), high: significant(high), count }
}

/** Four digits: more is noise, and makes committed results long. */
function significant (value) {
  return Number(value.toPrecision(4))
}
