import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { secretFileFault, trustFileFault, type Problems } from '../config/index.ts'
import type { Finding, Material } from './certificate.ts'
import type { CertificateMaterial, TlsOptions } from './options.ts'

/** Where each part comes from: the path of a file, or PEM text. */
interface Sources {
  readonly cert?: string
  readonly key?: string
  readonly chain?: string
  readonly ca?: string
  readonly crl?: string
}
type Texts = { -readonly [Part in keyof Sources]?: string }

function sourcesOf ({ cert, key, chain, clientCertificates }: TlsOptions): Sources {
  const { ca, crl } = clientCertificates ?? {}
  return Object.fromEntries(Object.entries({ cert, key, chain, ca, crl }).filter(([, source]) => source !== undefined))
}

/** Reads everything at start. Reports unreadable parts and then returns undefined. */
export function readNow (options: TlsOptions, path: string, problems: Problems): Material | undefined {
  const texts: Texts = {}
  const isSound = problems.clean(found => {
    if (options.cert === undefined) Object.assign(texts, askNow(options, path, found))
    for (const [part, source] of parts(sourcesOf(options))) {
      const text = isPem(source) ? unescaped(source) : fileNow(source)
      if (text !== undefined) texts[part] = text
      else found.add('SECURE_API_TLS_UNREADABLE', pathOf(path, part), 'the file is unreadable or empty', 'Check its path and permissions.')
    }
  })
  return isSound ? assemble(texts, options) : undefined
}

/** Reads everything again. Rejects if a part is unreadable or the provider fails. A provider may ignore the signal. */
export async function readAgain (options: TlsOptions, signal: AbortSignal): Promise<Material> {
  const { provider } = options
  const texts: Texts = {}
  for (const [part, source] of parts(sourcesOf(options))) {
    texts[part] = isPem(source) ? unescaped(source) : await fileLater(source, signal)
  }
  if (provider === undefined) return assemble(texts, options)
  return assemble({ ...texts, ...pairOf(await provider(signal)) }, options)
}

/** Whether other users can read the private key file or replace the CA file. PEM text has no permissions. */
export function keyFileFindings ({ key, clientCertificates, dangerouslyAllowOpenKeyFile = false }: TlsOptions): readonly Finding[] {
  const ca = clientCertificates?.ca
  const open = ca === undefined || isPem(ca) ? undefined : trustFileFault(ca)
  const fault = key === undefined || isPem(key) || dangerouslyAllowOpenKeyFile ? undefined : secretFileFault(key)
  return [
    ...(fault === undefined ? [] : [{ code: 'SECURE_API_SECRET_FILE_MODE', ...fault } as const]),
    ...(open === undefined ? [] : [{ code: 'SECURE_API_TRUST_FILE_MODE', ...open } as const])
  ]
}

function parts (sources: Sources): Array<[keyof Sources, string]> {
  return Object.entries(sources) as Array<[keyof Sources, string]>
}

function assemble ({ cert = '', key = '', chain = '', ca, crl }: Texts, { passphrase }: TlsOptions): Material {
  return {
    cert: chain === '' ? cert : `${cert}\n${chain}`,
    key,
    ...(passphrase === undefined ? undefined : { passphrase }),
    ...(ca === undefined ? undefined : { ca }),
    ...(crl === undefined ? undefined : { crl })
  }
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

function isPem (source: string): boolean {
  return source.includes('-----BEGIN ')
}

/** Many tools write line breaks in environment variables as `\n`. */
function unescaped (pem: string): string {
  return pem.replaceAll('\\n', '\n')
}

function fileNow (path: string): string | undefined {
  return attempt(() => readFileSync(path, 'utf8')) || undefined
}

/** An empty file is still being written; an empty revocation list would revoke nothing. */
async function fileLater (path: string, signal: AbortSignal): Promise<string> {
  const text = await readFile(path, { encoding: 'utf8', signal })
  if (text === '') throw new Error('the file is empty')
  return text
}

function attempt <T> (work: () => T): T | undefined {
  try {
    return work()
  } catch {
    return undefined
  }
}

function pathOf (path: string, part: keyof Sources): string {
  return part === 'ca' || part === 'crl' ? `${path}.clientCertificates.${part}` : `${path}.${part}`
}
