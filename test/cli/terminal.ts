import { PassThrough, Writable } from 'node:stream'
import type { Terminal } from '../../cli/command.ts'

export interface FakeTerminal {
  readonly terminal: Terminal
  stdout (): string
  stderr (): string
}

/**
 * A terminal that remembers what was written to it. The environment is that of the test, whose programs need it to load TypeScript, less
 * what changes output.
 */
export function fakeTerminal (given: Partial<Terminal> = {}): FakeTerminal {
  const [stdout, stderr] = [new Memory(), new Memory()]
  const { GITHUB_ACTIONS: _actions, GITHUB_WORKSPACE: _workspace, DEBUG: _debug, ...env } = process.env
  return {
    terminal: {
      stdin: new PassThrough(),
      stdout,
      stderr,
      cwd: process.cwd(),
      columns: 100,
      colour: false,
      interactive: false,
      ...given,
      env: { ...env, NODE_ENV: 'test', ...given.env }
    },
    stdout: () => stdout.text,
    stderr: () => stderr.text
  }
}

class Memory extends Writable {
  text = ''

  override _write (chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.text += chunk.toString()
    done()
  }
}
