import { relative } from 'node:path'
import type { Finding } from './check.ts'
import type { Source } from './record.ts'
import type { Row } from './report.ts'
import { severities } from './codes.ts'
import type { Report } from './summary.ts'

/** Rises when a member is renamed or removed. */
const version = 1

/** The report for programs. Files are named from the working directory, so that two machines write the same. */
export function json (report: Report, cwd: string): string {
  const { file, application, rows, findings, accepted } = report
  const counts = Object.fromEntries(severities.map(severity => [severity,
    findings.filter(finding => finding.severity === severity).length]))
  const written = {
    version,
    file,
    fastify: application.fastify,
    summary: { routes: rows.length, ...counts, accepted: accepted.length },
    routes: rows.map(row => routeJson(row, cwd)),
    findings: findings.map(finding => findingJson(finding, cwd)),
    accepted: accepted.map(finding => findingJson(finding, cwd))
  }
  return `${JSON.stringify(written, null, 2)}\n`
}

function routeJson ({ access, source, handler: _, ...row }: Row, cwd: string): unknown {
  return { ...row, access: access.kind === 'rule' ? access.rule : access.kind, ...located(source, cwd) }
}

function findingJson ({ source, ...finding }: Finding, cwd: string): unknown {
  return { ...finding, ...located(source, cwd) }
}

function located (source: Source | undefined, cwd: string): { source?: Source } {
  return source === undefined ? {} : { source: { file: relative(cwd, source.file), line: source.line } }
}
