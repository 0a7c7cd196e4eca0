import { styleText } from 'node:util'
import type { Terminal } from './command.ts'

type Style = Parameters<typeof styleText>[0]

/** Colours text where the terminal understands it, and leaves it alone elsewhere. */
export type Paint = (style: Style, text: string) => string

export function painter ({ colour }: Pick<Terminal, 'colour'>): Paint {
  return (style, text) => colour ? styleText(style, text, { validateStream: false }) : text
}

/** The terminal of this process. */
export function terminalOf (process: NodeJS.Process): Terminal {
  const { stdin, stdout, stderr, env } = process
  const { isTTY = false, columns = 100 } = stdout
  return {
    stdin,
    stdout,
    stderr,
    env,
    cwd: process.cwd(),
    columns: isTTY ? columns : 100,
    colour: wantsColour(env, isTTY),
    interactive: isTTY && stdin.isTTY && !isSet(env['CI'])
  }
}

/** NO_COLOR (no-color.org) wins over FORCE_COLOR, as it does for Node itself on a terminal. */
function wantsColour (env: Terminal['env'], isTTY: boolean): boolean {
  if (isSet(env['NO_COLOR']) || env['TERM'] === 'dumb') return false
  return isTTY || isSet(env['FORCE_COLOR'])
}

function isSet (value: string | undefined): boolean {
  return value !== undefined && value !== '' && value !== '0' && value !== 'false'
}

/** `secure-api routes | head` ends quietly when the reader has seen enough. */
export function ignoreClosedPipe ({ stdout, exit }: Pick<NodeJS.Process, 'stdout' | 'exit'>): void {
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    exit(0)
  })
}

/** Resolves when everything written so far has left the process: on some systems pipes are asynchronous. */
export async function flushed ({ stdout, stderr }: Pick<Terminal, 'stdout' | 'stderr'>): Promise<void> {
  await Promise.all([stdout, stderr].map(stream => new Promise<void>(resolve => { stream.write('', () => resolve()) })))
}
