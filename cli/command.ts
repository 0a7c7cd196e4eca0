import type { Readable, Writable } from 'node:stream'
import type { ParseArgsConfig } from 'node:util'

/** Options as `parseArgs` takes them. */
export type Options = NonNullable<ParseArgsConfig['options']>

/** What a command may touch of the process that runs it; tests give their own. */
export interface Terminal {
  readonly stdin: Readable
  readonly stdout: Writable
  readonly stderr: Writable
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  /** Width of the terminal; 100 where the output is no terminal. */
  readonly columns: number
  /** Whether escape sequences for colour are understood: a terminal, without NO_COLOR. */
  readonly colour: boolean
  /** Whether somebody can be asked: input and output are terminals, and CI is not set. */
  readonly interactive: boolean
}

/** What may stand behind the name of a command, for whoever completes a line. */
export interface Grammar {
  readonly options: Options
  /** Words that may come first, each with its options. */
  readonly subcommands?: Readonly<Record<string, Options>>
  /** What an option takes, where it is one of few. */
  readonly values?: Readonly<Record<string, readonly string[]>>
  /** Options that take a path. */
  readonly paths?: readonly string[]
  /** What else the command takes. */
  readonly takes?: 'file' | 'folder'
}

/** One sub-command of `secure-api`. */
export interface Command {
  readonly name: string
  /** One line for the list of commands. */
  readonly summary: string
  /** Help text, printed as it is by `secure-api <name> --help`. */
  readonly usage: string
  readonly grammar?: Grammar
  /**
   * @param all loads every command
   * @returns the exit code: 0 done, 1 findings or failure, 2 wrong usage (thrown as UsageError)
   */
  run (args: readonly string[], terminal: Terminal, all: () => Promise<readonly Command[]>): Promise<number>
}

/** A mistake in the arguments: the message says how to mend it; the process exits with 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
