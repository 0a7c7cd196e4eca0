import { constants } from 'node:crypto'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import type { Finding, Material } from './certificate.ts'
import type { TlsOptions } from './options.ts'

/** Mozilla's intermediate list (5.7) without DHE, which would need parameters: forward secrecy and AEAD only. */
const ciphers = [
  'TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305', 'ECDHE-RSA-CHACHA20-POLY1305'
].join(':')

/**
 * Renegotiation serves only attackers (RFC 9325 §3.4). The server's order applies, but clients without AES hardware, which put
 * ChaCha20 first, get ChaCha20.
 */
const secureOptions = constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_PRIORITIZE_CHACHA

export type TlsContext = SecureContextOptions & { readonly cert: Buffer }

/**
 * Everything that `setSecureContext` needs: it replaces the whole context, so anything omitted is lost (the CA for client
 * certificates, for one). Versions are stated because `--tls-min-v1.0` in NODE_OPTIONS changes the default.
 */
export function tlsContext ({ cert, key, passphrase, ca, crl }: Material, { minVersion = 'TLSv1.2' }: TlsOptions): TlsContext {
  return {
    cert: Buffer.from(cert),
    key,
    ...(passphrase === undefined ? undefined : { passphrase }),
    ...(ca === undefined ? undefined : { ca }),
    ...(crl === undefined ? undefined : { crl }),
    minVersion,
    maxVersion: 'TLSv1.3',
    ciphers,
    honorCipherOrder: true,
    secureOptions
  }
}

/** What OpenSSL objects to. Its error codes reveal nothing of the content. */
export function tryContext (context: TlsContext): Finding | undefined {
  try {
    createSecureContext(context)
    return undefined
  } catch (error) {
    const { code } = error as { code?: unknown }
    const why = `OpenSSL rejects it: ${String(code ?? 'no reason given')}`
    return { code: 'SECURE_API_TLS_REFUSED', why, fix: 'Check the files with `openssl x509`, `openssl pkey` and `openssl crl`.' }
  }
}
