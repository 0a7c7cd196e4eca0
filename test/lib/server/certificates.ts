import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** A certificate with its key, as PEM text and as files. */
export interface Issued {
  readonly cert: string
  readonly key: string
  readonly certFile: string
  readonly keyFile: string
}

interface Request {
  readonly name?: string
  readonly days?: number
  /** As `openssl req -newkey` and `-pkeyopt` take it. */
  readonly algorithm?: readonly string[]
  readonly digest?: readonly string[]
  readonly issuer?: Issued
  readonly extensions?: readonly string[]
}

const p256 = ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256']
const server = ['basicConstraints=critical,CA:FALSE', 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1']
export const authority = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign']

/** Certificates made on the fly. Node can read X.509 and not write it, so openssl has to be there (Debian: `apt-get install openssl`). */
export class Certificates {
  readonly #folder: string
  #count = 0

  constructor (folder: string) {
    this.#folder = folder
  }

  issue ({ name = 'localhost', days = 90, algorithm = p256, digest = ['-sha256'], issuer, extensions = server }: Request = {}): Issued {
    const file = (kind: string) => join(this.#folder, `${this.#count}.${kind}.pem`)
    this.#count++
    const config = join(this.#folder, 'openssl.cnf')
    writeFileSync(config,
      `[req]\nprompt=no\ndistinguished_name=dn\nx509_extensions=ext\n[dn]\nCN=${name}\n[ext]\n${extensions.join('\n')}\n`)
    const by = issuer === undefined ? [] : ['-CA', issuer.certFile, '-CAkey', issuer.keyFile]
    execFileSync('openssl', ['req', '-x509', '-config', config, '-newkey', ...algorithm, '-nodes', '-days', String(days), ...digest, ...by,
      '-keyout', file('key'), '-out', file('cert')], { stdio: 'pipe' })
    return {
      cert: readFileSync(file('cert'), 'utf8'),
      key: readFileSync(file('key'), 'utf8'),
      certFile: file('cert'),
      keyFile: file('key')
    }
  }

  /** Writes the list of what this authority has revoked. */
  revoke (ca: Issued, revoked: readonly Issued[], to: string): void {
    const config = join(this.#folder, 'ca.cnf')
    const database = join(this.#folder, `${this.#count++}.index`)
    writeFileSync(database, '')
    writeFileSync(config, `[ca]\ndefault_ca=d\n[d]\ndatabase=${database}\ndefault_md=sha256\ndefault_crl_days=30\n`)
    const openssl = (...parts: string[]) => execFileSync('openssl',
      ['ca', '-config', config, '-cert', ca.certFile, '-keyfile', ca.keyFile, ...parts], { stdio: 'pipe' })
    for (const { certFile } of revoked) openssl('-revoke', certFile)
    openssl('-gencrl', '-out', to)
  }
}
