import { suggest } from '../lib/config/index.ts'
import { report, reportOptions, reportValues } from './audit/report.ts'
import { UsageError, type Command, type Terminal } from './command.ts'

const usage = `Reads an audit trail.

Usage  secure-api audit report [<trail>…] [options]

A trail is a file of JSON lines: events as \`sink: 'stdout'\` and 'logger' write them, or bare ones, from a file with a chain too. Other
lines of a log are skipped and counted. A name that ends with .gz is unpacked; - or none is standard input.

report shows for every client which scopes its tokens carry and which its calls needed, scopes that nobody uses, routes
that nobody calls, callers who only get 403, and public routes with unusual failures.

Options of report
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

Examples
  secure-api audit report audit.log --app dist/app.js
  secure-api audit report audit-*.log.gz --since 30d --format html --output scopes.html
  journalctl -u orders -o cat | secure-api audit report --fail-on client-wide,scope-idle
`

type Subcommand = (args: readonly string[], terminal: Terminal) => Promise<number>

const subcommands: Readonly<Record<string, Subcommand>> = { report }

/** Reads audit trails. */
export const audit: Command = {
  name: 'audit',
  summary: 'shows from an audit trail which scopes, routes and callers nobody needs',
  usage,
  grammar: {
    options: {},
    subcommands: { report: reportOptions },
    values: reportValues,
    paths: ['app', 'routes', 'output', 'env'],
    takes: 'file'
  },
  async run ([name = '', ...args], terminal) {
    const run = Object.hasOwn(subcommands, name) ? subcommands[name] : undefined
    if (run !== undefined) return await run(args, terminal)
    const names = Object.keys(subcommands)
    const meant = suggest(name, names)
    throw new UsageError(`say what to do: ${names.join(', ')}${meant === undefined ? '' : `; did you mean ${meant}?`}`)
  }
}
