import { parseArguments } from '../arguments.ts'
import type { Grammar } from '../command.ts'
import { application, starting } from '../routes/arguments.ts'
import type { Question } from '../routes/ask.ts'

export interface Settings extends Question {
  readonly write: boolean
  readonly json: boolean
}

const known = { write: { type: 'boolean' }, json: { type: 'boolean' }, ...starting } as const

export const grammar: Grammar = { options: known, paths: ['env'], takes: 'file' }

/** Reads the arguments of `secure-api init`; throws a UsageError that says what to write instead. */
export function readArguments (args: readonly string[]): Settings {
  const { values, positionals } = parseArguments(args, known)
  return { ...application(values, positionals), write: values.write === true, json: values.json === true }
}
