import { daysOf, unusedCount, verdictOf, type UsageReport } from './report-tables.ts'

/** Rises when a member is renamed or removed. */
const version = 1

/** The report for programs. */
export function reportJson (report: UsageReport): string {
  const { usage, read, findings, routesKnown, minCalls, settings: { trails, since } } = report
  const { since: first, until, clients, ...rest } = usage
  const written = {
    version,
    trails,
    ...(since !== '' && { askedSince: since }),
    minCalls,
    routesKnown,
    period: { since: first, until, days: Math.round(daysOf(usage) * 100) / 100 },
    lines: read,
    unused: unusedCount(report),
    ...rest,
    clients: clients.map(client => ({ ...client, verdict: verdictOf(client, report) })),
    findings
  }
  return `${JSON.stringify(written, null, 2)}\n`
}
