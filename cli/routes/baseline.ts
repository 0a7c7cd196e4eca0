import { existsSync, readFileSync } from 'node:fs'
import type { Finding } from './check.ts'
import { findingCodes } from './codes.ts'

/** A finding that somebody looked at and accepted. */
export interface Accepted {
  readonly code: string
  readonly route?: string
  readonly detail: string
  /** For people: why it is accepted. */
  readonly why: string
}

export interface Judged {
  /** What counts. */
  readonly findings: readonly Finding[]
  /** What the baseline accepts. */
  readonly accepted: readonly Finding[]
}

/** Reads a baseline. One that cannot be read, or holds anything else, is an error: never an empty list. */
export function readBaseline (file: string): readonly Accepted[] {
  const parsed: unknown = parse(readFileSync(file, 'utf8'), file)
  const accepted = typeof parsed === 'object' && parsed !== null && 'version' in parsed && parsed.version === 1 && 'accepted' in parsed
    ? parsed.accepted
    : undefined
  if (!Array.isArray(accepted)) throw new Error(`${file} is no baseline: it needs "version": 1 and a list "accepted"`)
  const wrong = accepted.findIndex(entry => !isAccepted(entry))
  if (wrong !== -1) {
    throw new Error(`${file}: entry ${wrong + 1} of "accepted" needs texts "code" and "detail", and may have "route" and "why"`)
  }
  return accepted
}

function parse (text: string, file: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new Error(`${file} is not JSON`)
  }
}

function isAccepted (entry: unknown): entry is Accepted {
  if (typeof entry !== 'object' || entry === null) return false
  const { code, route = '', detail, why = '' } = entry as Partial<Record<string, unknown>>
  return [code, route, detail, why].every(text => typeof text === 'string')
}

/** Takes the accepted findings out, and reports entries that accept nothing any more: they would hide the next one. */
export function judge (findings: readonly Finding[], baseline: readonly Accepted[]): Judged {
  const accepts = new Set(baseline.map(keyOf))
  const found = new Set(findings.map(keyOf))
  const stale = baseline.filter(entry => !found.has(keyOf(entry))).map(staleFinding)
  return {
    findings: [...findings.filter(finding => !accepts.has(keyOf(finding))), ...stale],
    accepted: findings.filter(finding => accepts.has(keyOf(finding)))
  }
}

function staleFinding ({ code, route, detail }: Accepted): Finding {
  const stale = findingCodes.SECURE_API_POSTURE_BASELINE_STALE
  return {
    ...stale,
    code: 'SECURE_API_POSTURE_BASELINE_STALE',
    detail: detail === '' ? code : `${code}, ${detail}`,
    ...(route !== undefined && { route })
  }
}

/** The findings as a baseline. What was said of those that were accepted before stays. */
export function writtenBaseline (findings: readonly Finding[], before: readonly Accepted[]): string {
  const reasons = new Map(before.map(entry => [keyOf(entry), entry.why]))
  const accepted = findings
    .map(({ code, route, detail }): Accepted => ({
      code,
      ...(route !== undefined && { route }),
      detail,
      why: reasons.get(keyOf({ code, route, detail })) ?? ''
    }))
    .sort((a, b) => keyOf(a) < keyOf(b) ? -1 : 1)
  return `${JSON.stringify({ version: 1, accepted }, null, 2)}\n`
}

/** The baseline before an update: there may be none yet. */
export function baselineBefore (file: string): readonly Accepted[] {
  return existsSync(file) ? readBaseline(file) : []
}

function keyOf ({ code, route, detail }: { readonly code: string, readonly route?: string | undefined, readonly detail: string }): string {
  return JSON.stringify([code, route ?? '', detail])
}
