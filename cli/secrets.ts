import type { SecretStatus } from '../lib/secrets/index.ts'
import { parseArguments } from './arguments.ts'
import { UsageError, type Command, type Terminal } from './command.ts'
import { padEnd, printable } from './display.ts'
import { gap } from './layout.ts'
import { code, escaped, table } from './markdown.ts'
import { application, starting } from './routes/arguments.ts'
import { askApplication } from './routes/ask.ts'
import { painter } from './terminal.ts'

const options = {
  json: { type: 'boolean' },
  markdown: { type: 'boolean' },
  check: { type: 'boolean' },
  'require-owner': { type: 'boolean' },
  ...starting
} as const

/** A secret, and what is wrong with it. */
type Listed = SecretStatus & { readonly findings: readonly string[] }

export const secrets: Command = Object.freeze({
  name: 'secrets',
  summary: 'lists the secrets of an application: where each is, whose it is, how old, and when it is due',
  usage: `
Usage: secure-api secrets <app> [options]

Loads the application as \`secure-api routes\` does, without listening, and lists its secrets. It never shows a value, nor a
hash of one. The application starts, so the command needs the secrets where it runs.

Output
  (none)               a table for the terminal
  --json               for programs
  --markdown           for a wiki or a pull request

Checks
  --check              exit with 1 when one is overdue, cannot be read, or is a literal of the source
  --require-owner      with --check: also when one has no owner

Loading
  --env FILE           environment variables (default: .env, where there is one)
  --no-options         ignore the module's \`export const options\`, as \`fastify start\` without -o does
  --timeout SECONDS    how long the application may take to be ready (default: 60)

Examples
  secure-api secrets src/app.ts
  secure-api secrets dist/app.js --check --require-owner
`.trimStart(),
  grammar: { options, paths: ['env'], takes: 'file' } as const,
  run
})

async function run (args: readonly string[], terminal: Terminal): Promise<number> {
  const { values, positionals } = parseArguments(args, options)
  const { check = false, json = false, markdown = false, 'require-owner': ownerless = false } = values
  if (json && markdown) throw new UsageError('--json and --markdown cannot both be written; choose one')
  if (ownerless && !check) throw new UsageError('--require-owner has a meaning with --check only')
  const question = application(values, positionals)
  const { secrets: found } = await askApplication(question, terminal)
  const list = found.map(secret => ({ ...secret, findings: findingsOf(secret, ownerless) }))
  const write = json ? asJson : markdown ? page : text
  terminal.stdout.write(write(list, question.file, terminal))
  return check && list.some(({ findings }) => findings.length > 0) ? 1 : 0
}

function findingsOf ({ source, state, owner, why = '', dueInDays = 0 }: SecretStatus, ownerless: boolean): string[] {
  return [
    ...(source === 'literal' ? ['it is written in the source'] : []),
    ...(state === 'overdue' ? [`it should have been replaced ${-dueInDays} days ago`] : []),
    ...(why !== '' ? [why] : []),
    ...(ownerless && owner === undefined ? ['nobody looks after it'] : [])
  ]
}

const columns: ReadonlyArray<readonly [title: string, text: (secret: SecretStatus) => string]> = [
  ['Option', ({ option }) => option],
  ['Source', ({ source }) => source],
  ['Owner', ({ owner = '' }) => owner],
  ['Age', ({ ageDays }) => ageDays === undefined ? '' : `${ageDays} d`],
  ['Due', ({ due, dueInDays }) => due === undefined ? '' : `${due.slice(0, 10)} (${dueInDays} d)`],
  ['Version', ({ version = '' }) => version],
  ['State', ({ state }) => state]
]

function summary (list: readonly Listed[]): string {
  const bad = list.filter(({ findings }) => findings.length > 0).length
  if (list.length === 0) return 'The application has no secrets that the suite knows of'
  return `${list.length} ${list.length === 1 ? 'secret' : 'secrets'}, ${bad === 0 ? 'no findings' : `${bad} with findings`}`
}

function asJson (list: readonly Listed[]): string {
  return `${JSON.stringify({ secrets: list }, undefined, 2)}\n`
}

function text (list: readonly Listed[], _file: string, terminal: Terminal): string {
  const paint = painter(terminal)
  const rows = list.map(secret => columns.map(([, cell]) => printable(cell(secret))))
  const widths = columns.map(([title], index) => Math.max(title.length, ...rows.map(row => (row[index] ?? '').length)))
  const line = (cells: readonly string[]) => cells.map((cell, index) => padEnd(cell, widths[index] ?? 0)).join(gap).trimEnd()
  const told = list.flatMap(({ option, findings }) => findings.map(finding => `${paint('red', '✖')} ${option}: ${printable(finding)}`))
  const head = list.length === 0 ? [] : [paint('bold', line(columns.map(([title]) => title))), ...rows.map(line), '']
  return [...head, ...told, paint(told.length === 0 ? 'green' : 'red', summary(list)), ''].join('\n')
}

function page (list: readonly Listed[], file: string): string {
  const titles = [...columns.map(([title]) => title), 'Findings']
  const rows = list.map(secret => [...columns.map(([, cell], index) => index < 2 ? code(cell(secret)) : escaped(cell(secret))),
    escaped(secret.findings.join('; '))])
  return [`# Secrets of ${code(file)}`, '', `${summary(list)}.`, '', ...table(titles, rows), ''].join('\n')
}
