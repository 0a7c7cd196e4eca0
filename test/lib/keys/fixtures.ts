import { generateKeyPairSync, verify, type JsonWebKey } from 'node:crypto'
import type { Test } from 'tap'
import { scheduleTimer, type Schedule } from '../../../lib/async/index.ts'
import { KeyRing, KeysUnavailable, type KeyEvent, type KeyRingOptions, type KeySource } from '../../../lib/keys/index.ts'
import { createTestIssuer, type TestIssuer, type TestIssuerOptions } from '../../../testing/index.ts'

/** A clock and timers that only move when told to. */
export class TestTime {
  now = 1_000_000
  readonly #timers = new Set<{ at: number, callback: () => void }>()

  readonly schedule: Schedule = (callback, ms) => {
    const timer = { at: this.now + ms, callback }
    this.#timers.add(timer)
    return () => { this.#timers.delete(timer) }
  }

  get pending (): number {
    return this.#timers.size
  }

  /** Lets time pass, timer by timer, and whatever they start run as far as it gets without real waiting. */
  async pass (ms: number): Promise<void> {
    const end = this.now + ms
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.#timers.delete(next)
      this.now = Math.max(this.now, next.at)
      next.callback()
      await settle()
    }
    this.now = end
    await settle()
  }

  #next (end: number) {
    return [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0]
  }
}

/**
 * Real timers, but for the limit of an attempt, which is over when the test says so: a machine that stands still for a moment is
 * slower than any limit.
 */
export function attemptLimit (limit = 5000) {
  const held = new Set<() => unknown>()
  const schedule: Schedule = (callback, ms) => {
    if (ms !== limit) return scheduleTimer(callback, ms)
    held.add(callback)
    return () => { held.delete(callback) }
  }
  return { schedule, expire: () => { for (const callback of [...held]) callback() } }
}

/** Lets every promise that needs no real event go on. */
export async function settle (): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise(resolve => setImmediate(resolve))
}

export function ecKey (kid: string | undefined, extra: object = {}): JsonWebKey {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { ...publicKey.export({ format: 'jwk' }), ...(kid === undefined ? undefined : { kid }), ...extra }
}

export const ISSUER = 'https://issuer.example'

/** One ring with times that read well: refresh 100 s, cooldown 10 s, maxStale 1000 s, timeout 5 s. */
export function createRing (t: Test, options: Partial<KeyRingOptions> = {}) {
  const events: KeyEvent[] = []
  const ring = new KeyRing({
    issuer: ISSUER,
    source: { jwksUri: `${ISSUER}/jwks` },
    algorithms: ['ES256', 'RS256'],
    refresh: 100_000,
    cooldown: 10_000,
    maxStale: 1_000_000,
    timeout: 5000,
    allowLoopback: true,
    onEvent: event => { events.push(event) },
    ...options
  })
  t.teardown(() => ring.close())
  return { ring, events, types: () => events.map(({ type }) => type) }
}

export async function startIssuer (t: Test, options: TestIssuerOptions = {}): Promise<TestIssuer> {
  const issuer = await createTestIssuer({ alg: 'ES256', ...options })
  t.teardown(() => issuer.close())
  return issuer
}

/** The `kid`s that come out of a look-up. */
export function kidsOf (keys: ReadonlyArray<{ readonly kid: string | undefined }> | undefined) {
  return keys?.map(({ kid }) => kid)
}

/** What happens to a token: the way a request goes, without the claims. */
export async function present (ring: KeySource, token: string): Promise<200 | 401 | 503> {
  const [header = '', payload = '', signature = ''] = token.split('.')
  const { kid, alg } = JSON.parse(Buffer.from(header, 'base64url').toString())
  try {
    const known = ring.peek(kid, alg)
    const keys = known !== undefined && known.length > 0 ? known : await ring.find(kid, alg)
    const input = Buffer.from(`${header}.${payload}`)
    const good = keys.some(({ key, active }) => active &&
      verify('sha256', input, { key, dsaEncoding: 'ieee-p1363' }, Buffer.from(signature, 'base64url')))
    return good ? 200 : 401
  } catch (error) {
    if (error instanceof KeysUnavailable) return 503
    throw error
  }
}

export const many = (times: number, once: (index: number) => Promise<number>) =>
  Promise.all(Array.from({ length: times }, (_, index) => once(index))).then(statuses => [...new Set(statuses)])
