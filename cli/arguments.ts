import { parseArgs } from 'node:util'
import { suggest } from '../lib/config/index.ts'
import { UsageError, type Options } from './command.ts'

type Parsed<Own extends Options> =
  ReturnType<typeof parseArgs<{ args: string[], options: Own, allowPositionals: true, strict: true }>>

/**
 * `parseArgs` that names the option which was probably meant.
 * @param elsewhere options of neighbouring subcommands, with the name of each that takes them
 * @throws UsageError, or what `parseArgs` throws
 */
export function parseArguments <const Own extends Options> (args: readonly string[], options: Own, elsewhere: Elsewhere = {}): Parsed<Own> {
  refuseUnknown([...args], options, elsewhere)
  return parseArgs({ args: [...args], options, allowPositionals: true, strict: true })
}

type Elsewhere = Readonly<Record<string, readonly string[]>>

function refuseUnknown (args: string[], options: Options, elsewhere: Elsewhere): void {
  const { tokens } = parseArgs({ args, options, allowPositionals: true, strict: false, tokens: true })
  for (const token of tokens) {
    if (token.kind !== 'option' || Object.hasOwn(options, token.name)) continue
    const typed = args[token.index]
    throw new UsageError(`there is no option ${written(token.rawName, typed)}${hint(token.name, typed, options, elsewhere)}`)
  }
}

/** `-json` is read as `-j -s -o -n`: what was typed tells more. */
function written (rawName: string, typed = rawName): string {
  return isCluster(typed) ? typed.replace(/=.*$/s, '') : rawName
}

function isCluster (typed: string): boolean {
  return /^-[^-]{2}/.test(typed)
}

function hint (name: string, typed = '', options: Options, elsewhere: Elsewhere): string {
  const owners = Object.hasOwn(elsewhere, name) ? elsewhere[name] : undefined
  if (owners !== undefined) return `; it belongs to ${owners.map(owner => `\`${owner}\``).join(', ')}`
  const meant = suggest(isCluster(typed) ? typed.slice(1) : name, Object.keys(options))
  return meant === undefined ? '' : `; did you mean --${meant}?`
}
