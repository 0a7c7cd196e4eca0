import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { Usage } from '../../lib/usage/index.ts'
import { UsageError, type Terminal } from '../command.ts'
import { readReportArguments, reportOptions, type ReportFormat } from './report-arguments.ts'
import { usageFindings } from './report-check.ts'
import { reportHtml } from './report-html.ts'
import { reportJson } from './report-json.ts'
import { reportMarkdown } from './report-markdown.ts'
import { readTrails } from './report-read.ts'
import { knownRoutes } from './report-routes.ts'
import { unusedCount, type UsageReport } from './report-tables.ts'
import { reportText } from './report-text.ts'
import type { AuditSubcommand } from './subcommand.ts'

export { reportValues } from './report-arguments.ts'

const formats: Readonly<Record<ReportFormat, (report: UsageReport, terminal: Terminal) => string>> = {
  table: (report, terminal) => reportText(report, report.settings.output === undefined ? terminal : { ...terminal, colour: false }),
  json: reportJson,
  markdown: reportMarkdown,
  html: reportHtml
}

/** Shows from a trail who called what, and which rights nobody needs. */
export const report: AuditSubcommand = {
  synopsis: 'secure-api audit report [<trail>…] [options]',
  details: `Options of report
  --app FILE            the application, loaded as \`secure-api routes\` does: which routes there are that nobody calls
  --routes FILE         the same from a file: what \`secure-api routes --json\` wrote
  --since WHEN          only events from then on: 30d, 12h, 2027-01-31 or 2027-01-31T12:00:00Z
  --min-calls N         below so many calls nothing is said of a client, a scope or a route (default: 100)
  --format FORMAT       table (default), json, markdown or html
  -o, --output FILE     write it there instead of to standard output
  --fail-on KINDS       exit with 1 where there are findings of these kinds, separated by commas; any for all of them:
                        scopes-unused, client-wide, scope-idle, scope-never-carried, route-uncalled, caller-refused,
                        public-failures
  --max-unused N        exit with 1 where clients carry more than N scopes that they never need, all together
  --env FILE, --no-options, --timeout SECONDS
                        for --app, as \`secure-api routes\` takes them
  A trail is JSON lines in the default format; other lines are skipped. .gz is unpacked; - or none is standard input.
`,
  examples: `  secure-api audit report audit.log --app dist/app.js
  secure-api audit report audit-*.log.gz --since 30d --format html --output scopes.html
  journalctl -u orders -o cat | secure-api audit report --fail-on client-wide,scope-idle`,
  options: reportOptions,
  paths: ['app', 'routes', 'output', 'env'],
  run
}

async function run (args: readonly string[], terminal: Terminal): Promise<number> {
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
  const { findings, read, settings: { failOn, maxUnused } } = report
  // A trail that is empty, or in a form that is not read here, must not look like one without findings.
  if (read.events === 0 && (failOn.length > 0 || maxUnused < Infinity)) return true
  return findings.some(({ kind }) => failOn.includes(kind)) || unusedCount(report) > maxUnused
}
