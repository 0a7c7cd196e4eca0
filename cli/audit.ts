import { suggest } from '../lib/config/index.ts'
import { key } from './audit/key.ts'
import { report, reportValues } from './audit/report.ts'
import type { AuditSubcommand } from './audit/subcommand.ts'
import { verify } from './audit/verify.ts'
import { UsageError, type Command } from './command.ts'

/** One line adds one. */
const subcommands: Readonly<Record<string, AuditSubcommand>> = {
  verify,
  key,
  report
}

const all = Object.values(subcommands)
const joined = (part: 'synopsis' | 'details' | 'examples') => all.map(subcommand => subcommand[part].trimEnd()).join('\n')

const usage = `Looks after the audit trail.

Usage  ${joined('synopsis').replaceAll('\n', '\n       ')}

${joined('details')}

Examples
${joined('examples')}
`

export const audit: Command = {
  name: 'audit',
  summary: 'checks the chain of an audit file, makes its key, and shows which scopes nobody needs',
  usage,
  grammar: {
    options: {},
    subcommands: Object.fromEntries(Object.entries(subcommands).map(([name, { options }]) => [name, options])),
    values: reportValues,
    paths: [...new Set(all.flatMap(({ paths }) => paths))],
    takes: 'file'
  },
  async run ([name = '', ...args], terminal) {
    const subcommand = Object.hasOwn(subcommands, name) ? subcommands[name] : undefined
    if (subcommand === undefined) throw unknown(name)
    return await subcommand.run(args, terminal)
  }
}

function unknown (name: string): UsageError {
  const names = Object.keys(subcommands)
  const meant = suggest(name, names)
  return new UsageError(`say what to do: ${names.join(', ')}${meant === undefined ? '' : `; did you mean ${meant}?`}`)
}
