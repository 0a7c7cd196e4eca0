import { createReadStream } from 'node:fs'
import { open, readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { createGunzip } from 'node:zlib'
import {
  chainVerifier, firstLink, verifyChain, type ChainVerifier, type Finding, type GoodCheckpoint, type Link, type Verification
} from '../../lib/audit/index.ts'
import { parseArguments } from '../arguments.ts'
import { UsageError, type Terminal } from '../command.ts'
import { printable } from '../display.ts'
import { painter } from '../terminal.ts'
import type { AuditSubcommand } from './subcommand.ts'

const options = {
  key: { type: 'string', multiple: true },
  anchor: { type: 'string', multiple: true },
  running: { type: 'boolean' },
  json: { type: 'boolean' }
} as const

export const verify: AuditSubcommand = {
  synopsis: 'secure-api audit verify <file…> [--key <file>] [--anchor <seq>:<hash>] [--running] [--json]',
  details: `Options of verify
  --key <file>          the public key in PEM; several times where the key was changed. Without it signatures are not
                        checked, and whoever could write the file could have written all of it anew
  --anchor <seq>:<hash> a link that the chain is known to have had, from where its checkpoints are also reported
  --running             the process still writes: a file without a signed end is no finding
  --json                the findings as JSON
  Files are read in the order of their first lines; those that end in .gz are unpacked. Warnings do not change the exit code.
`,
  examples: `  secure-api audit verify audit.log.2.gz audit.log.1 audit.log --key audit-key.pem.pub --running
  secure-api audit verify audit.log --key audit-key.pem.pub --anchor 4711:5hbfT0Gh0Zb3cJZVdFMzAbKfXkLN1p8FxrqVKZ9gYxU`,
  options,
  paths: ['key'],
  async run (args, terminal) {
    const { values, positionals } = parseArguments(args, options)
    if (positionals.length === 0) throw new UsageError('name the files of the chain')
    const keys = await Promise.all((values.key ?? []).map(async file => await keyIn(resolve(terminal.cwd, file))))
    const anchors = (values.anchor ?? []).map(anchorOf)
    const files = await inOrder(positionals, terminal.cwd)
    const found = await verifyChain(files.map(name => ({ name, chunks: chunksOf(resolve(terminal.cwd, name)) })),
      { keys, anchors, running: values.running === true })
    const good = found.findings.every(({ severity }) => severity === 'warning')
    if (values.json === true) terminal.stdout.write(`${JSON.stringify({ good, signed: keys.length > 0, files, ...found }, undefined, 2)}\n`)
    else terminal.stdout.write(report(found, keys.length > 0, terminal))
    return good ? 0 : 1
  }
}

async function keyIn (file: string): Promise<ChainVerifier> {
  const verifier = chainVerifier(await readFile(file, 'utf8').catch(error => { throw unreadable(file, error) }))
  if (verifier === undefined) throw new UsageError(`${file} is not the PEM of a public key, Ed25519 or P-256`)
  return verifier
}

function anchorOf (given: string): Link {
  const [, seq, hash] = /^(\d{1,15}):([\w-]{43})$/.exec(given) ?? []
  if (hash === undefined) throw new UsageError(`--anchor ${JSON.stringify(given)} is not <seq>:<hash>, as a checkpoint reports them`)
  return { seq: Number(seq), hash }
}

/** By the number of the first link. A file that does not say keeps its place. */
async function inOrder (names: readonly string[], cwd: string): Promise<string[]> {
  const starts = await Promise.all(names.map(async name => firstLink(await beginOf(resolve(cwd, name)))))
  const [{ id } = {}] = starts
  if (starts.some(start => start === undefined || start.id !== id)) return [...names]
  return names.map((name, index) => ({ name, seq: starts[index]?.seq ?? 0 })).sort((a, b) => a.seq - b.seq).map(({ name }) => name)
}

/** Enough for the first line, which is one of the chain's own. */
async function beginOf (file: string): Promise<Buffer> {
  let text = Buffer.alloc(0)
  for await (const chunk of chunksOf(file)) {
    text = Buffer.concat([text, chunk])
    if (text.length >= 4096) break
  }
  return text
}

async function * chunksOf (file: string): AsyncGenerator<Buffer> {
  try {
    await (await open(file)).close()
    const stream = createReadStream(file, { highWaterMark: 1024 * 1024 })
    if (!file.endsWith('.gz')) return yield * stream
    const plain = createGunzip()
    stream.on('error', error => { plain.destroy(error) })
    yield * stream.pipe(plain)
  } catch (error) {
    throw unreadable(file, error)
  }
}

function unreadable (file: string, error: unknown): Error {
  return new Error(`${file} cannot be read: ${error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason'}`)
}

function report (found: Verification, signed: boolean, terminal: Terminal): string {
  const { findings, more, moreWarnings, lines, signatures, first, last, checkpoint } = found
  const paint = painter(terminal)
  const errors = findings.filter(({ severity }) => severity === 'error').length
  const text = findings.flatMap(finding => describe(finding, terminal))
  if (more + moreWarnings > 0) text.push(`and ${more + moreWarnings} more`)
  if (!signed) text.push('No --key: signatures were not checked, so this shows mistakes, and no attacker who can count hashes.')
  if (first > 0) {
    text.push(`Link ${first} is the first: links 0 to ${first - 1} are in older files, which were not given. Are they still there?`)
  }
  const range = last === undefined ? '' : `, up to link ${last.seq}`
  const verdict = errors + more === 0 ? paint('green', 'intact') : paint('red', `${errors + more} finding${errors + more === 1 ? '' : 's'}`)
  const end = signed ? `; last good checkpoint ${where(checkpoint)}` : ''
  text.push(`${verdict}: ${lines} lines${range}, ${signatures} signatures checked${end}`)
  return `${text.join('\n')}\n`
}

function describe ({ kind, severity, file, line, text, checkpoint }: Finding, terminal: Terminal): string[] {
  const paint = painter(terminal)
  const head = `${printable(file)}:${line} ${paint(severity === 'error' ? 'red' : 'yellow', kind)}`
  return [`${head} ${text}${severity === 'warning' ? ' (warning)' : ''}`, paint('dim', `  last good checkpoint: ${where(checkpoint)}`)]
}

function where (checkpoint: GoodCheckpoint | undefined): string {
  if (checkpoint === undefined) return 'none'
  return `link ${checkpoint.seq} of ${checkpoint.time ?? 'unknown time'}, ${printable(checkpoint.file)}:${checkpoint.line}`
}
