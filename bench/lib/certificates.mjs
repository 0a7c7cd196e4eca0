import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * A server's certificate, and a service's with the authority that issued it, as PEM. Node reads X.509 and cannot write it, so openssl has
 * to be there.
 */
export function makeCertificates () {
  const folder = mkdtempSync(join(tmpdir(), 'bench-'))
  try {
    const ca = issue(folder, 'ca', ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign'])
    return {
      ca,
      server: issue(folder, 'server', ['basicConstraints=critical,CA:FALSE', 'subjectAltName=DNS:localhost,IP:127.0.0.1']),
      client: issue(folder, 'client', ['extendedKeyUsage=clientAuth', 'subjectAltName=DNS:orders.internal'], 'ca')
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function issue (folder, name, extensions, by) {
  const file = (kind, of = name) => join(folder, `${of}.${kind}`)
  writeFileSync(file('cnf'),
    `[req]\nprompt=no\ndistinguished_name=dn\nx509_extensions=ext\n[dn]\nCN=${name}\n[ext]\n${extensions.join('\n')}\n`)
  const signer = by === undefined ? [] : ['-CA', file('cert', by), '-CAkey', file('key', by)]
  execFileSync('openssl', ['req', '-x509', '-config', file('cnf'), '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
    '-days', '30', '-sha256', ...signer, '-keyout', file('key'), '-out', file('cert')], { stdio: 'pipe' })
  return { cert: readFileSync(file('cert'), 'utf8'), key: readFileSync(file('key'), 'utf8') }
}
