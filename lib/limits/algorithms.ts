import { at, none, type Chains } from './chains.ts'
import type { Decision } from './decision.ts'
import type { Algorithm } from './options.ts'
import type { LimitPolicy } from './policy.ts'

/**
 * One way of counting, as a state machine over a chain of cells. `redis-script.ts` is the same in Lua; the contract tests run over
 * both. A request fits if `used + cost` is at most the policy's `burst`.
 */
export interface Counting {
  /** Drops expired units and returns the remaining ones. */
  used (chains: Chains, slot: number, policy: LimitPolicy, now: number): number
  /** Counts a request that fits. Call `used` first, with the same `now`. */
  spend (chains: Chains, slot: number, policy: LimitPolicy, cost: number, now: number, lease: number): void
  /** Milliseconds until `excess` units are free. */
  retryAfter (chains: Chains, slot: number, policy: LimitPolicy, excess: number, now: number): number
  /** Milliseconds until nothing is counted. */
  reset (chains: Chains, slot: number, policy: LimitPolicy, now: number): number
  refund (chains: Chains, slot: number, taken: Decision, at: number): void
}

/** Above the rounding errors of a bucket's level, below any relevant amount of units. */
export const tolerance = 1e-9

/**
 * A log of requests. One at t counts until t + window, so no window, wherever it starts, has more than `limit`. Requests closer
 * together than the granularity share a cell, which counts until its newest request expires: this may admit fewer, never more.
 */
const slidingWindow: Counting = {
  used (chains, slot, { windowMs }, now) {
    let head = at(chains.head, slot)
    while (head !== none && at(chains.last, head) + windowMs <= now) {
      chains.shift(slot)
      head = at(chains.head, slot)
    }
    return at(chains.used, slot)
  },
  spend (chains, slot, { granularityMs }, cost, now) {
    const tail = at(chains.tail, slot)
    if (tail === none) return chains.append(slot, now, now, cost)
    if (now - at(chains.first, tail) > granularityMs) {
      if (at(chains.count, tail) > 0) return chains.append(slot, now, now, cost)
      // All was given back, as after each good credential: otherwise a busy address would fill the reserve with empty cells.
      chains.first[tail] = now
    }
    chains.merge(slot, tail, now, cost)
  },
  retryAfter (chains, slot, { windowMs }, excess, now) {
    let freed = 0
    for (let cell = at(chains.head, slot); cell !== none; cell = at(chains.next, cell)) {
      freed += at(chains.count, cell)
      if (freed >= excess) return at(chains.last, cell) + windowMs - now
    }
    return windowMs
  },
  reset (chains, slot, { windowMs }, now) {
    const tail = at(chains.tail, slot)
    return tail === none ? 0 : at(chains.last, tail) + windowMs - now
  },
  refund: (chains, slot, { cost }, time) =>
    giveBack(chains, slot, cost, cell => at(chains.first, cell) <= time && time <= at(chains.last, cell))
}

/** A window that starts at the first request after the last one ended. */
const fixedWindow: Counting = {
  used (chains, slot, { windowMs }, now) {
    const head = at(chains.head, slot)
    if (head !== none && at(chains.first, head) + windowMs <= now) chains.clear(slot)
    return at(chains.used, slot)
  },
  spend (chains, slot, _, cost, now) {
    const head = at(chains.head, slot)
    if (head === none) return chains.append(slot, now, now, cost)
    chains.merge(slot, head, now, cost)
  },
  retryAfter: (chains, slot, policy, _, now) => fixedWindow.reset(chains, slot, policy, now),
  reset (chains, slot, { windowMs }, now) {
    const head = at(chains.head, slot)
    return head === none ? 0 : at(chains.first, head) + windowMs - now
  },
  refund: (chains, slot, { cost }, time) => giveBack(chains, slot, cost, cell => at(chains.first, cell) <= time)
}

/**
 * GCRA as a leaky bucket: `first` is the time of the level, `count` and the slot's sum are the level. Unlike a theoretical arrival
 * time, which adds up fractions, a level keeps its precision.
 */
const tokenBucket: Counting = {
  used (chains, slot, { emissionMs }, now) {
    const cell = at(chains.head, slot)
    if (cell === none) return 0
    const level = at(chains.count, cell) - (now - at(chains.first, cell)) / emissionMs
    if (level <= 0) chains.clear(slot)
    else setLevel(chains, slot, cell, level, now)
    return at(chains.used, slot)
  },
  spend (chains, slot, _, cost, now) {
    const cell = at(chains.head, slot)
    if (cell === none) chains.append(slot, now, now, cost)
    else setLevel(chains, slot, cell, at(chains.count, cell) + cost, now)
  },
  retryAfter: (_chains, _slot, { emissionMs }, excess) => excess * emissionMs,
  reset: (chains, slot, { emissionMs }) => at(chains.used, slot) * emissionMs,
  refund: (chains, slot, { cost }) => giveBack(chains, slot, cost, () => true)
}

/** Permits of requests in flight: `first` is the permit's number, `last` its expiry. */
const concurrency: Counting = {
  used (chains, slot, _, now) {
    let head = at(chains.head, slot)
    while (head !== none && (at(chains.last, head) <= now || at(chains.count, head) === 0)) {
      chains.shift(slot)
      head = at(chains.head, slot)
    }
    return at(chains.used, slot)
  },
  spend: (chains, slot, { windowMs }, cost, now, lease) => chains.append(slot, lease, now + windowMs, cost),
  retryAfter: () => 1000, // a permit may become free at any moment; retrying sooner would be a busy loop
  reset: () => 0,
  refund: (chains, slot, { lease, cost }) => giveBack(chains, slot, cost, cell => at(chains.first, cell) === lease)
}

export const counting: Readonly<Record<Algorithm, Counting>> = {
  'sliding-window': slidingWindow,
  'fixed-window': fixedWindow,
  'token-bucket': tokenBucket,
  concurrency
}

function setLevel (chains: Chains, slot: number, cell: number, level: number, now: number): void {
  chains.first[cell] = now
  chains.count[cell] = level
  chains.used[slot] = level
}

/**
 * Takes units out of their cell. If the cell has expired, nothing is given back. One that is empty then leaves the chain, or every later
 * walk would pass it; the last one stays, and is used again.
 */
function giveBack (chains: Chains, slot: number, cost: number, holds: (cell: number) => boolean): void {
  const tail = at(chains.tail, slot)
  if (tail === none) return
  // What is given back was mostly taken last.
  let before = none
  let cell = holds(tail) ? tail : at(chains.head, slot)
  while (cell !== none && !holds(cell)) {
    before = cell
    cell = at(chains.next, cell)
  }
  if (cell === none) return
  const returned = Math.min(cost, at(chains.count, cell))
  chains.count[cell] = at(chains.count, cell) - returned
  chains.used[slot] = at(chains.used, slot) - returned
  if (at(chains.count, cell) === 0 && cell !== tail) chains.remove(slot, before, cell)
}
