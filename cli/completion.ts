import { suggest } from '../lib/config/index.ts'
import { parseArguments } from './arguments.ts'
import { bash } from './completion/bash.ts'
import { fish } from './completion/fish.ts'
import { linesOf, type Line } from './completion/lines.ts'
import { zsh } from './completion/zsh.ts'
import { UsageError, type Command, type Options } from './command.ts'

const usage = `Writes a script that completes commands, options and their values in a shell.

Usage  secure-api completion bash|zsh|fish

Examples
  source <(secure-api completion bash)                                   # in ~/.bashrc
  source <(secure-api completion zsh)                                    # in ~/.zshrc, after compinit
  secure-api completion fish > ~/.config/fish/completions/secure-api.fish

A shell completes \`secure-api\` where it is a command of the PATH: installed globally, or with node_modules/.bin in it.
`

const shells: Readonly<Record<string, (lines: readonly Line[]) => string>> = { bash, zsh, fish }

export const completion: Command = {
  name: 'completion',
  summary: 'writes a script that completes commands and options in a shell',
  usage,
  grammar: { options: {}, subcommands: Object.fromEntries(Object.keys(shells).map(name => [name, {} as Options])) },
  async run (args, { stdout }, all) {
    const { positionals: [name = '', more] } = parseArguments(args, {})
    const write = Object.hasOwn(shells, name) && more === undefined ? shells[name] : undefined
    if (write === undefined) throw new UsageError(`name one shell: ${Object.keys(shells).join(', ')}${hint(name)}`)
    stdout.write(write(linesOf(await all())))
    return 0
  }
}

function hint (name: string): string {
  const meant = suggest(name, Object.keys(shells))
  return meant === undefined || meant === name ? '' : `; did you mean ${meant}?`
}
