import { createHmac, hash, timingSafeEqual } from 'node:crypto'

/** All refresh tokens that follow from one login: one of them is good at a time. No token is in it, only SHA-256 hashes of tokens. */
export interface RefreshFamily {
  readonly subject: string
  /** What the application gave for it, as JSON. */
  readonly data: unknown
  readonly current: string
  /** The one before, and what makes its successor of it: a client that lost the answer gets the same one again. */
  readonly previous?: string
  readonly nonce?: string
  /** Milliseconds since the epoch, as all times here. */
  readonly rotatedAt: number
  readonly expiresAt: number
  readonly revoked: boolean
  /** Counts the changes, from 1. */
  readonly version: number
}

/** A token that is shown, by its hash, and its successor. */
export interface Attempt {
  readonly presented: string
  readonly next: string
  readonly nonce: string
  /** In milliseconds. */
  readonly grace: number
}

export type Refused = 'unknown' | 'expired' | 'revoked' | 'reused'

/** What becomes of it. */
export type RotationAnswer = { readonly kind: Refused } | {
  readonly kind: 'rotated'
  readonly subject: string
  readonly data: unknown
  /** Makes the successor of the token that was shown. */
  readonly nonce: string
  readonly expiresAt: number
}

/** The answer, and the family as it is then; without one nothing changes. */
interface Decision { readonly answer: RotationAnswer, readonly family?: RefreshFamily }

/**
 * RFC 9700 §4.14.2: a token that was used before is in two hands, and nobody can tell which is the thief's, so all of the family end.
 * Within the grace it gets the same successor again: an answer was lost, or two tabs asked at once. That makes no second line of
 * tokens: whoever uses an old one after the grace still gives the theft away.
 */
export function decide (family: RefreshFamily | undefined, attempt: Attempt, now: number): Decision {
  if (family === undefined) return { answer: { kind: 'unknown' } }
  if (family.revoked) return { answer: { kind: 'revoked' } }
  if (now >= family.expiresAt) return { answer: { kind: 'expired' } }
  const { subject, data, current, previous, expiresAt, rotatedAt, version } = family
  const rotated = (nonce: string): RotationAnswer => ({ kind: 'rotated', subject, data, nonce, expiresAt })
  const { presented, next, nonce, grace } = attempt
  if (isSame(presented, current)) {
    const after = { ...family, current: next, previous: presented, nonce, rotatedAt: now, version: version + 1 }
    return { answer: rotated(nonce), family: after }
  }
  if (previous !== undefined && family.nonce !== undefined && isSame(presented, previous) && now < rotatedAt + grace) {
    return { answer: rotated(family.nonce) }
  }
  return { answer: { kind: 'reused' }, family: { ...family, revoked: true, version: version + 1 } }
}

function isSame (one: string, other: string): boolean {
  return one.length === other.length && timingSafeEqual(Buffer.from(one), Buffer.from(other))
}

export function digestOf (text: string): string {
  return hash('sha256', text, 'base64url')
}

/** As random as the token before it, for everybody who does not know that one. */
export function successorOf (secret: string, nonce: string): string {
  return createHmac('sha256', secret).update(nonce).digest('base64url')
}
