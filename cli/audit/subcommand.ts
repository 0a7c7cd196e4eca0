import type { Options, Terminal } from '../command.ts'

/** One of `secure-api audit`, with its part of the help text. */
export interface AuditSubcommand {
  /** `secure-api audit verify <file…> [options]`, one line. */
  readonly synopsis: string
  /** `Options of verify` and the lines under it. */
  readonly details: string
  /** Lines with two blanks before them. */
  readonly examples: string
  readonly options: Options
  /** Options that take a path. */
  readonly paths: readonly string[]
  run (args: readonly string[], terminal: Terminal): Promise<number>
}
