import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { UsageError, type Command, type Terminal } from './command.ts'
import { apply } from './init/apply.ts'
import { grammar, readArguments, type Settings } from './init/arguments.ts'
import { faultsOf } from './init/check-options.ts'
import { unifiedDiff } from './init/diff.ts'
import { planFor, type Plan } from './init/plan.ts'
import { shown } from './init/sources.ts'
import { reportText } from './init/text.ts'
import { askStock } from './routes/ask.ts'

const usage = `Usage  secure-api init <app> [options]

Looks at an existing Fastify application, and proposes what makes it one with fastify-secure-api: a plugin file with the
configuration, and a rule for each route. Behaviour is kept where it can be; where it cannot, the report says so.
The diff goes to standard output, the report to standard error. Nothing is written without --write.

<app> is what \`secure-api routes\` takes.

Options
  --write              write the files; on a terminal, without this option, it asks
  --json               report and diff for programs
  --env FILE           environment variables (default: .env, where there is one)
  --no-options         ignore the module's \`export const options\`
  --timeout SECONDS    how long the application may take to be ready (default: 60)

Exit code  0 nothing is left to do by hand, 1 something is, 2 the command was called wrongly

Examples
  secure-api init src/app.ts > init.patch
  secure-api init app.js --write
`

const written = 'Written. Install fastify-secure-api if it is not there, and look:'

/** Proposes the suite for an application that exists. */
export const init: Command = {
  name: 'init',
  summary: 'proposes the suite for an existing application, as a diff',
  usage,
  grammar,
  async run (args, terminal) {
    const settings = readArguments(args)
    const plan = await planOf(settings, terminal)
    const diff = unifiedDiff(plan.changes, terminal.cwd)
    if (settings.json) terminal.stdout.write(json(plan, diff, terminal.cwd))
    else {
      terminal.stderr.write(reportText(plan, terminal, terminal.cwd))
      terminal.stdout.write(diff)
    }
    if (settings.write || (!settings.json && await agreed(plan, terminal))) {
      apply(plan.changes)
      if (!settings.json) terminal.stderr.write(`${written} npx secure-api routes ${settings.file} --check\n`)
    }
    return plan.findings.some(({ level }) => level === 'must') ? 1 : 0
  }
}

async function planOf (settings: Settings, terminal: Terminal): Promise<Plan> {
  const { inventory, stock } = await askStock(settings, terminal).catch(explain)
  if (inventory.suites > 0) {
    throw new Error(`${settings.file} has the suite already; \`secure-api routes ${settings.file} --check\` looks at its routes`)
  }
  const plan = planFor(stock, resolve(terminal.cwd, settings.file))
  if (existsSync(plan.plugin)) {
    throw new Error(`there is a file ${shown(plan.plugin, terminal.cwd)} already; move it away, so that nothing of it is lost`)
  }
  const faults = await faultsOf(plan.options, stock.secure)
  const place = { file: plan.plugin, line: 1 }
  return { ...plan, findings: [...plan.findings, ...faults.map(text => ({ level: 'must' as const, text, place }))] }
}

/** The application must start for its routes to be known. */
function explain (error: unknown): never {
  if (error instanceof UsageError) throw error
  const { message, stack = message } = error instanceof Error ? error : new Error(String(error))
  const advice = 'The application must become ready, as for `fastify start`: ' +
    'give what it needs (a database, variables) with --env FILE, or more time with --timeout.'
  throw Object.assign(new Error(`${message}\n${advice}`), { name: error instanceof Error ? error.name : 'Error', stack })
}

async function agreed ({ changes }: Plan, terminal: Terminal): Promise<boolean> {
  if (!terminal.interactive || changes.length === 0) return false
  const lines = createInterface({ input: terminal.stdin, output: terminal.stderr })
  try {
    return /^y(es)?$/i.test((await lines.question(`Write ${changes.length} files? [no] `)).trim())
  } finally {
    lines.close()
  }
}

/** Rises when a member is renamed or removed. */
const version = 1

function json ({ plugin, routes, findings }: Plan, diff: string, cwd: string): string {
  const located = <Entry extends { place?: { file: string, line: number } }> ({ place, ...rest }: Entry) =>
    ({ ...rest, ...(place && { source: { file: shown(place.file, cwd), line: place.line } }) })
  const report = { version, plugin: shown(plugin, cwd), routes: routes.map(located), findings: findings.map(located), diff }
  return `${JSON.stringify(report, null, 2)}\n`
}
