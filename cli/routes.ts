import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { UsageError, type Command, type Terminal } from './command.ts'
import { annotations } from './routes/annotations.ts'
import { grammar, readArguments, type Format, type Settings } from './routes/arguments.ts'
import { askApplication } from './routes/ask.ts'
import { baselineBefore, judge, readBaseline, writtenBaseline, type Accepted } from './routes/baseline.ts'
import { check } from './routes/check.ts'
import { severities, type Severity } from './routes/codes.ts'
import { html } from './routes/html.ts'
import { json } from './routes/json.ts'
import { markdown } from './routes/markdown.ts'
import { postureOf } from './routes/report.ts'
import type { Report } from './routes/summary.ts'
import { findingsText, tableText } from './routes/text.ts'

export const routes: Command = Object.freeze({
  name: 'routes',
  summary: 'shows and checks what guards every route of an application',
  usage: `
Usage: secure-api routes <app> [options]

Loads the application as \`fastify start -o\` does, without listening, and shows for every route who may call it,
how often, from which web origins, with which headers and under which name in the audit trail.

<app> is a module that exports a plugin \`(fastify, options)\`, a Fastify server, or a function without arguments
that returns one. TypeScript needs no build: tsx loads it where the application has it installed, else Node from 22.6 on.

Output
  (none)               a table for the terminal
  --json               for programs
  --markdown           for a wiki or a pull request
  --html               one page with filters, for reading and printing
  -o, --output FILE    write it there instead of to standard output

Checks
  --check              report findings, and exit with 1 when there is an error
  --fail-on SEVERITY   error (default), warning or note: the lightest that makes --check exit with 1
  --baseline FILE      findings listed there are accepted; entries that match nothing are reported
  --update-baseline    write all findings of now to that file; reasons given before stay

Loading
  --env FILE           environment variables (default: .env, where there is one)
  --no-options         ignore the module's \`export const options\`, as \`fastify start\` without -o does
  --timeout SECONDS    how long the application may take to be ready (default: 60)

Examples
  secure-api routes src/app.ts
  secure-api routes dist/app.js --check --fail-on warning
  secure-api routes dist/app.js --html --output routes.html

In GitHub Actions --check also writes annotations, at the lines where the routes are declared.
`.trimStart(),
  grammar,
  run
})

async function run (args: readonly string[], terminal: Terminal): Promise<number> {
  const settings = readArguments(args)
  const baselineFile = settings.baseline && resolve(terminal.cwd, settings.baseline)
  const baseline = baselineFile === undefined ? [] : settings.updateBaseline ? baselineBefore(baselineFile) : existing(baselineFile)
  const posture = postureOf(await askApplication(settings, terminal))
  const findings = check(posture)
  if (settings.updateBaseline && baselineFile !== undefined) writeFileSync(baselineFile, writtenBaseline(findings, baseline))
  const report: Report = {
    file: settings.file,
    ...posture,
    ...judge(findings,
      settings.updateBaseline ? findings.map(asAccepted) : baseline)
  }
  emit(report, settings, terminal)
  return fails(report, settings.failOn) ? 1 : 0
}

function existing (file: string): readonly Accepted[] {
  try {
    return readBaseline(file)
  } catch (error) {
    if (error instanceof Error && 'code' in error &&
      error.code === 'ENOENT') throw new UsageError(`there is no baseline ${file}; --update-baseline writes it`)
    throw error
  }
}

function asAccepted ({ code, route, detail }: Report['findings'][number]): Accepted {
  return { code, ...(route !== undefined && { route }), detail, why: '' }
}

type Write = (report: Report, settings: Settings, terminal: Terminal) => string

const formats: Readonly<Record<Format, Write>> = {
  text: (report, { failOn, output }, terminal) => {
    const look = output === undefined ? terminal : { ...terminal, colour: false }
    return failOn === undefined ? tableText(report, look) : findingsText(report, look)
  },
  json: (report, _, { cwd }) => json(report, cwd),
  markdown: report => markdown(report),
  html: (report, _, { cwd }) => html(report, cwd)
}

function emit (report: Report, settings: Settings, terminal: Terminal): void {
  const { output, format, failOn } = settings
  const text = formats[format](report, settings, terminal)
  if (output === undefined) terminal.stdout.write(text)
  else writeFileSync(resolve(terminal.cwd, output), text)
  if (failOn === undefined || terminal.env['GITHUB_ACTIONS'] !== 'true') return
  // The runner reads both streams; what programs read on standard output stays whole.
  const stream = format === 'text' || output !== undefined ? terminal.stdout : terminal.stderr
  stream.write(annotations(report.findings, resolve(terminal.cwd, settings.file), terminal.env['GITHUB_WORKSPACE'] ?? terminal.cwd))
}

function fails ({ findings }: Report, failOn: Severity | undefined): boolean {
  return failOn !== undefined && findings.some(({ severity }) => severities.indexOf(severity) <= severities.indexOf(failOn))
}
