import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { secretFileFault, trustFileFault, type Problems } from '../config/index.ts'
import { isFromEnvironment, readNow as readSecret, Secret, SecretFailure, textOf } from '../secrets/index.ts'
import type { Finding, Material } from './certificate.ts'
import type { CertificateMaterial, TlsOptions } from './options.ts'

type Part = 'cert' | 'key' | 'chain' | 'ca' | 'crl'
type Texts = Partial<Record<Part, string>>

/** Where each part comes from: the path of a file, or PEM text. */
function sourcesOf ({ cert, key, chain, clientCertificates }: TlsOptions): Array<[Part, string]> {
  const { ca, crl } = clientCertificates ?? {}
  return Object.entries({ cert, key, chain, ca, crl }).filter((entry): entry is [Part, string] => entry[1] !== undefined)
}

/** Reads everything at start. Reports unreadable parts and then returns undefined. */
export function readNow (options: TlsOptions, path: string, problems: Problems): Material | undefined {
  const texts: Texts = {}
  const isSound = problems.clean(found => {
    if (options.cert === undefined) Object.assign(texts, askNow(options, path, found))
    for (const [part, source] of sourcesOf(options)) {
      texts[part] = isPem(source) ? unescapedPem(source) : attempt(() => readFileSync(source, 'utf8')) ?? ''
      const option = part === 'ca' || part === 'crl' ? `${path}.clientCertificates.${part}` : `${path}.${part}`
      if (texts[part] !== '') continue
      found.add('SECURE_API_TLS_UNREADABLE', option, 'the file is unreadable or empty', 'Check its path and permissions.')
    }
  })
  return isSound ? assemble(texts, options) : undefined
}

/** Reads everything again. Rejects if a part is unreadable or the provider fails. A provider may ignore the signal. */
export async function readAgain (options: TlsOptions, signal: AbortSignal): Promise<Material> {
  const { provider } = options
  const texts: Texts = {}
  for (const [part, source] of sourcesOf(options)) {
    texts[part] = isPem(source) ? unescapedPem(source) : await readFile(source, { encoding: 'utf8', signal })
    // An empty file is still being written; an empty revocation list would revoke nothing.
    if (texts[part] === '') throw new Error('the file is empty')
  }
  return assemble(provider === undefined ? texts : { ...texts, ...pairOf(await provider(signal)) }, options)
}

/** Whether other users can read the private key file or replace the CA file. PEM text has no permissions. */
export function keyFileFindings ({ key, clientCertificates, dangerouslyAllowOpenKeyFile = false }: TlsOptions): readonly Finding[] {
  const ca = clientCertificates?.ca
  const open = ca === undefined || isPem(ca) ? undefined : trustFileFault(ca)
  const fault = key === undefined || isPem(key) || dangerouslyAllowOpenKeyFile ? undefined : secretFileFault(key)
  return [
    fault && { code: 'SECURE_API_SECRET_FILE_MODE' as const, ...fault },
    open && { code: 'SECURE_API_TRUST_FILE_MODE' as const, ...open }
  ].filter(finding => finding !== undefined)
}

function assemble ({ cert = '', key = '', chain = '', ...authority }: Texts, { passphrase: given }: TlsOptions): Material {
  const passphrase = given === undefined ? undefined : passphraseOf(given)
  return { ...authority, cert: chain === '' ? cert : `${cert}\n${chain}`, key, ...(passphrase !== undefined && { passphrase }) }
}

/** Throws {@link SecretFailure}. */
function passphraseOf (given: NonNullable<TlsOptions['passphrase']>): string | undefined {
  return typeof given === 'string' || given instanceof Secret ? textOf(given) : readSecret(given)
}

/** Reports a passphrase that cannot be read; in production also one that others can read, or that is written in the source. */
export function checkPassphrase ({ passphrase }: TlsOptions, isProduction: boolean, path: string, problems: Problems): void {
  if (passphrase === undefined) return
  try {
    passphraseOf(passphrase)
  } catch (error) {
    const why = error instanceof SecretFailure ? error.message : 'it cannot be read'
    return problems.add('SECURE_API_SECRET_UNAVAILABLE', path, why, 'Check that it is there, and that this process may read it.')
  }
  if (!isProduction) return
  const file = typeof passphrase === 'object' && Object.hasOwn(passphrase, 'file') && 'file' in passphrase ? passphrase.file : undefined
  const fault = file === undefined ? undefined : secretFileFault(file)
  if (fault !== undefined) problems.add('SECURE_API_SECRET_FILE_MODE', path, `its file: ${fault.why}`, fault.fix)
  if (typeof passphrase !== 'string' || isFromEnvironment(passphrase)) return
  problems.add('SECURE_API_SECRET_LITERAL', path, 'the value is written in the source, and whoever can read that has it',
    "Write { env: 'NAME' } or { file: '/run/secrets/name' }.")
}

function askNow ({ provider }: TlsOptions, path: string, problems: Problems): CertificateMaterial | undefined {
  const answer = attempt(() => provider?.(new AbortController().signal))
  if (answer instanceof Promise) {
    answer.catch(() => {})
    problems.add('SECURE_API_TLS_PROVIDER_ASYNC', `${path}.provider`, 'the provider returns a promise; the first pair must be synchronous',
      'Await the first pair yourself and pass it as `cert` and `key` beside `provider`.')
    return undefined
  }
  const pair = attempt(() => pairOf(answer))
  if (pair === undefined) {
    problems.add('SECURE_API_TLS_UNREADABLE', `${path}.provider`, 'the provider failed, or did not return { cert, key } as text',
      'Make it return both as PEM text.')
  }
  return pair
}

/** A provider is application code and may return anything. */
function pairOf (answer: unknown): CertificateMaterial {
  const { cert, key } = Object(answer) as Partial<Record<'cert' | 'key', unknown>>
  if (typeof cert !== 'string' || typeof key !== 'string') throw new TypeError('no certificate and key')
  return { cert, key }
}

export function isPem (source: string): boolean {
  return source.includes('-----BEGIN ')
}

/** Many tools write line breaks in environment variables as `\n`. */
export function unescapedPem (pem: string): string {
  return pem.replaceAll('\\n', '\n')
}

function attempt <T> (work: () => T): T | undefined {
  try {
    return work()
  } catch {
    return undefined
  }
}
