import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { Usage } from '../../lib/usage/index.ts'
import { UsageError, type Terminal } from '../command.ts'
import { readReportArguments, type ReportFormat } from './report-arguments.ts'
import { usageFindings } from './report-check.ts'
import { reportHtml } from './report-html.ts'
import { reportJson } from './report-json.ts'
import { reportMarkdown } from './report-markdown.ts'
import { readTrails } from './report-read.ts'
import { knownRoutes } from './report-routes.ts'
import { unusedCount, type UsageReport } from './report-tables.ts'
import { reportText } from './report-text.ts'

export { reportOptions, reportValues } from './report-arguments.ts'

const formats: Readonly<Record<ReportFormat, (report: UsageReport, terminal: Terminal) => string>> = {
  table: (report, terminal) => reportText(report, report.settings.output === undefined ? terminal : { ...terminal, colour: false }),
  json: reportJson,
  markdown: reportMarkdown,
  html: reportHtml
}

/** Shows from a trail who called what, and which rights nobody needs. */
export async function report (args: readonly string[], terminal: Terminal): Promise<number> {
  const settings = readReportArguments(args, Date.now())
  if (terminal.interactive && settings.trails.includes('-')) throw new UsageError('name a trail, or pipe one in')
  const usage = new Usage()
  const routes = await knownRoutes(settings, terminal)
  for (const route of routes ?? []) usage.know(route)
  const read = await readTrails(settings.trails, settings.since, terminal, call => { usage.see(call) })
  const summary = usage.summary()
  const measure = { minCalls: settings.minCalls, routesKnown: routes !== undefined }
  const found: UsageReport = { ...measure, settings, read, usage: summary, findings: usageFindings(summary, measure) }
  const text = formats[settings.format](found, terminal)
  if (settings.output === undefined) terminal.stdout.write(text)
  else writeFileSync(resolve(terminal.cwd, settings.output), text)
  return fails(found) ? 1 : 0
}

function fails (report: UsageReport): boolean {
  const { findings, settings: { failOn, maxUnused } } = report
  return findings.some(({ kind }) => failOn.includes(kind)) || unusedCount(report) > maxUnused
}
