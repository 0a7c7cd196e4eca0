import type { Finding } from './check.ts'
import { severities, type Severity } from './codes.ts'
import type { Access, Posture } from './report.ts'
import type { Judged } from './baseline.ts'
import { counted } from './words.ts'

/** Everything a format needs. */
export interface Report extends Judged, Posture {
  /** As it was named on the command line. */
  readonly file: string
}

const kinds: ReadonlyArray<readonly [words: string, ...kinds: Array<Access['kind']>]> = [
  ['with a rule', 'rule'],
  ['authenticated', 'authenticated', 'authenticated-by-default'],
  ['public', 'public'],
  ['closed', 'closed'],
  ['open', 'open', 'outside'],
  ['not known yet', 'unknown']
]

/** `12 routes: 9 with a rule, 3 public`. */
export function routeSummary ({ rows }: Posture): string {
  const parts = kinds.flatMap(([words, ...kinds]) => {
    const count = rows.filter(({ access }) => kinds.includes(access.kind)).length
    return count === 0 ? [] : [`${count} ${words}`]
  })
  return `${counted(rows.length, 'route')}${parts.length === 0 ? '' : `: ${parts.join(', ')}`}`
}

/** `1 error, 2 warnings; 3 accepted`. */
export function findingSummary ({ findings, accepted }: Judged): string {
  const counts = severities.flatMap(severity => {
    const count = findings.filter(finding => finding.severity === severity).length
    return count === 0 ? [] : [counted(count, severity)]
  })
  return [counts.join(', ') || 'no findings', ...(accepted.length === 0 ? [] : [`${accepted.length} accepted`])].join('; ')
}

/** The gravest severity among the findings of a route. */
export function gravest (findings: readonly Finding[], route: string): Severity | undefined {
  return severities.find(severity => findings.some(finding => finding.route === route && finding.severity === severity))
}
