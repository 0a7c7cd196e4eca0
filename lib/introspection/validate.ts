import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto'
import { parseDuration, Problems } from '../config/index.ts'
import { algorithms, isSecureUrl, type PlainHosts } from '../keys/index.ts'
import { faultOfSecret, textOf } from '../secrets/index.ts'
import { algorithmFor, canSign } from './client-authentication.ts'
import {
  clientMethods, defaults, methodOf, type ClientMethod, type IntrospectionClientOptions, type IntrospectionOptions
} from './options.ts'

/** What the rest of the issuer's options means for introspection. */
export interface IssuerFacts {
  readonly issuer: string
  readonly plain: PlainHosts
  /** Whether the metadata may be asked. */
  readonly discovery: boolean
  /** Whether there are keys of the issuer. */
  readonly keys: boolean
  readonly production: boolean
}

/** Reports what the schema cannot say. Values that it refuses are passed over. */
export function validateIntrospection (options: IntrospectionOptions, facts: IssuerFacts, path: string, problems: Problems): void {
  checkEndpoint(options, facts, path, problems)
  checkTimes(options, path, problems)
  if (typeof options.client === 'object' && options.client !== null) checkClient(options, facts.production, path, problems)
  if (facts.keys) return
  for (const name of ['signed', 'when'] as const) {
    if (options[name] !== true && options[name] !== 'always') continue
    problems.add('SECURE_API_OPTION_CONFLICT', `${path}.${name}`,
      'there are no keys of the issuer to check signatures with', 'Remove `discovery: false`, or leave it out.')
  }
}

function checkEndpoint ({ endpoint, client, method }: IntrospectionOptions, facts: IssuerFacts, path: string, problems: Problems): void {
  const { issuer, plain, discovery } = facts
  if (endpoint === undefined) {
    if (discovery && isSecureUrl(issuer, plain)) return
    return problems.add('SECURE_API_OPTION_MISSING', `${path}.endpoint`,
      'the issuer\'s metadata is not asked, so nothing says where tokens are looked up', 'Give the address of the endpoint.')
  }
  if (typeof endpoint !== 'string') return
  if (!isSecureUrl(endpoint, plain)) {
    const insecure = isSecureUrl(endpoint.replace(/^http:/i, 'https:'), plain)
    return insecure
      ? problems.add('SECURE_API_URL_INSECURE', `${path}.endpoint`,
        'tokens and the secret of the client would be readable on the way', 'Use https. In development this machine may use http.')
      : problems.add('SECURE_API_URL_INVALID', `${path}.endpoint`,
        'this is not an address that can be asked', 'Write an https address in full, without user and password.')
  }
  if (!endpoint.startsWith('https:') && client?.certificate !== undefined && (method ?? 'tls_client_auth') === 'tls_client_auth') {
    problems.add('SECURE_API_OPTION_CONFLICT', `${path}.endpoint`, 'a client certificate is shown over https only', 'Use https.')
  }
}

/** In milliseconds. */
const ranges = [['cache', 0, 3_600_000], ['timeout', 100, 30_000]] as const

function checkTimes (options: IntrospectionOptions, path: string, problems: Problems): void {
  for (const [name, minimum, maximum] of ranges) {
    const ms = parseDuration(options[name] ?? defaults[name])
    if (ms === undefined || (ms >= minimum && ms <= maximum)) continue
    problems.add('SECURE_API_OPTION_RANGE', `${path}.${name}`,
      `${ms} milliseconds are out of range`, `Give ${minimum} to ${maximum} milliseconds.`)
  }
}

/** What each method needs, and what only it uses. */
const needs: Readonly<Record<ClientMethod, ReadonlyArray<'secret' | 'privateKey' | 'certificate'>>> = {
  client_secret_basic: ['secret'],
  client_secret_post: ['secret'],
  private_key_jwt: ['privateKey'],
  tls_client_auth: ['certificate', 'privateKey']
}

function checkClient (options: IntrospectionOptions, production: boolean, path: string, problems: Problems): void {
  const { client } = options
  const method = methodOf(options)
  const at = `${path}.client`
  if (method === undefined) {
    return problems.add('SECURE_API_OPTION_MISSING', `${at}.${client.certificate === undefined ? 'secret' : 'privateKey'}`,
      'the issuer answers only clients that show who they are', 'Give `secret`, `privateKey`, or `certificate` with its `privateKey`.')
  }
  if (!clientMethods.includes(method)) return
  for (const name of ['secret', 'privateKey', 'certificate'] as const) {
    const given = client[name] !== undefined
    if (given === needs[method].includes(name)) continue
    if (given) {
      problems.add('SECURE_API_OPTION_CONFLICT', `${at}.${name}`, `${method} does not use it`, 'Remove it, or choose another `method`.')
    } else problems.add('SECURE_API_OPTION_MISSING', `${at}.${name}`, `${method} needs it`, 'Add it, or choose another `method`.')
  }
  const weakness = production ? faultOf(textOf(client.secret), faultOfSecret) : undefined
  if (weakness !== undefined) {
    problems.add('SECURE_API_SECRET_WEAK', `${at}.secret`, weakness, 'Let the issuer make one, or take `openssl rand -base64 32`.')
  }
  const pem = textOf(client.privateKey)
  if (pem !== undefined) checkPrivateKey(pem, client, method, at, problems)
}

function faultOf (text: string | undefined, check: (text: string) => string | undefined): string | undefined {
  return text === undefined ? undefined : check(text)
}

/** Why a secret, or a key, cannot follow the one that `options` hold. */
export function faultOfNext (text: string, name: 'secret' | 'privateKey', options: IntrospectionOptions): string | undefined {
  if (name === 'secret') return faultOfSecret(text)
  const problems = new Problems()
  checkPrivateKey(text, options.client, methodOf(options) ?? 'private_key_jwt', '', problems)
  return problems.list()[0]?.why
}

function checkPrivateKey (
  pem: string, client: IntrospectionClientOptions, method: ClientMethod, path: string, problems: Problems
): void {
  const key = keyIn(pem)
  const { algorithm, certificate } = client
  if (key === undefined || algorithmFor(key) === undefined) {
    return problems.add('SECURE_API_OPTION_VALUE', `${path}.privateKey`, 'this is not a private key that can sign',
      'Give the PEM of an RSA key of 2048 bits or more, of P-256, P-384 or P-521, or of Ed25519, without a passphrase.')
  }
  if (algorithm !== undefined && algorithms.includes(algorithm) && !canSign(key, algorithm)) {
    problems.add('SECURE_API_OPTION_CONFLICT', `${path}.algorithm`, `the key cannot sign with ${algorithm}`,
      'Leave it out, or give another key.')
  }
  if (method !== 'tls_client_auth' || typeof certificate !== 'string' || belongsTo(key, certificate)) return
  problems.add('SECURE_API_OPTION_VALUE', `${path}.certificate`,
    'this is not the certificate of the key beside it', 'Give both in PEM, the certificate before its chain.')
}

function keyIn (pem: string): KeyObject | undefined {
  try {
    return createPrivateKey(pem)
  } catch {
    return undefined
  }
}

function belongsTo (key: KeyObject, certificate: string): boolean {
  try {
    return new X509Certificate(certificate).checkPrivateKey(key)
  } catch {
    return false
  }
}
