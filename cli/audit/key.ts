import { generateKeyPairSync } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { chainVerifier } from '../../lib/audit/index.ts'
import { parseArguments } from '../arguments.ts'
import { UsageError } from '../command.ts'
import type { AuditSubcommand } from './subcommand.ts'

const options = { file: { type: 'string' }, json: { type: 'boolean' } } as const

export const key: AuditSubcommand = {
  synopsis: 'secure-api audit key --file <file> [--json]',
  details: `Options of key
  --file <file>         where the private key goes, readable for its owner only; beside it lies <file>.pub with the
                        public key, for verify. Neither may exist
  --json                the id of the key and both paths as JSON
`,
  examples: '  secure-api audit key --file audit-key.pem',
  options,
  paths: ['file'],
  async run (args, { cwd, stdout }) {
    const { values, positionals } = parseArguments(args, options)
    if (positionals.length > 0) throw new UsageError('key takes options only')
    if (values.file === undefined || values.file === '') throw new UsageError('give --file: where the private key goes')
    const file = resolve(cwd, values.file)
    const made = { kid: await makeKey(file), privateKey: file, publicKey: `${file}.pub` }
    stdout.write(values.json === true
      ? `${JSON.stringify(made, undefined, 2)}\n`
      : `${made.privateKey} signs: give it to the application only
${made.publicKey} checks: keep it where the application cannot write
key id ${made.kid}
`)
    return 0
  }
}

async function makeKey (file: string): Promise<string> {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  await create(file, privateKey.export({ format: 'pem', type: 'pkcs8' }), 0o600)
  try {
    await create(`${file}.pub`, publicKey.export({ format: 'pem', type: 'spki' }), 0o644)
  } catch (error) {
    await rm(file, { force: true })
    throw error
  }
  return chainVerifier(publicKey)?.kid ?? ''
}

/** Never over a key that signed: its checkpoints could not be checked any more. */
async function create (file: string, text: string | Buffer, mode: number): Promise<void> {
  try {
    await writeFile(file, text, { mode, flag: 'wx' })
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'EEXIST') throw new UsageError(`${file} exists; a key that signed is not replaced`)
    throw code === 'ENOENT' ? new UsageError(`there is no folder for ${file}`) : error
  }
}
