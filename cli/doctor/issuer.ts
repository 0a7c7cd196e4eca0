import type { KeyObject } from 'node:crypto'
import { Problems } from '../../lib/config/index.ts'
import {
  algorithms, checkIssuerUrl, fetchDocument, FetchFailure, importKeys, isSecureUrl, metadataUrls, resolveKeysOptions, withoutSecrets,
  type Algorithm, type DropReason, type ImportedKey
} from '../../lib/keys/index.ts'
import { presets, type PresetName } from '../../lib/tokens/index.ts'
import { credentialFault } from './address.ts'
import { exchange } from './exchange.ts'
import { Findings, type Examination } from './finding.ts'
import { examineTls, tlsTarget } from './tls.ts'

export interface IssuerQuestion {
  readonly issuer: string
  readonly preset?: PresetName
  readonly audience?: string | readonly string[]
}

type Members = Readonly<Record<string, unknown>>
interface Fetched { readonly document: Members, readonly url: string, readonly ms: number }

const { timeout } = resolveKeysOptions()
/** Slower answers would be felt by the request that waits for a new key. */
const SLOW = 1000

/** Asks an issuer what the suite would ask it, and says what it would make of the answers. */
export async function examineIssuer ({ issuer, preset = presetOf(issuer), audience }: IssuerQuestion): Promise<Examination> {
  const findings = new Findings()
  const fault = credentialFault(issuer)
  if (fault !== undefined) {
    findings.error('ISSUER_URL', 'this address has a password in it, which breaks it apart', 'Remove what stands before the last @.')
    return { title: 'issuer', findings: findings.list }
  }
  const title = `issuer ${withoutSecrets(issuer)}`
  if (!checkUrl(issuer, findings)) return { title, findings: findings.list }
  const target = tlsTarget(new URL(issuer))
  if (target !== undefined) await examineTls(target, findings, Date.now())
  const metadata = await fetchMetadata(issuer, findings)
  if (metadata === undefined) return { title, findings: findings.list }
  const accepted: readonly Algorithm[] = preset === undefined ? algorithms : presets[preset].algorithms
  const matches = checkMatch(issuer, metadata.document, findings)
  const named = checkAlgorithms(metadata.document, accepted, findings)
  await checkClock(metadata.url, findings)
  const usable = await checkKeys(metadata.document.jwks_uri, accepted, named, findings)
  if (!matches) return { title, findings: findings.list }
  return { title, findings: findings.list, details: { Configuration: configuration(issuer, audience, preset, usable, named) } }
}

function checkUrl (issuer: string, findings: Findings): boolean {
  const problems = new Problems()
  checkIssuerUrl(issuer, true, 'issuer', problems)
  for (const { why, fix } of problems.list()) findings.error('ISSUER_URL', why, fix)
  if (problems.any) return false
  if (issuer.startsWith('https:')) findings.ok('ISSUER_URL', 'an https address')
  else findings.warning('ISSUER_URL', 'http is accepted on this machine only, and in development only', 'Use https in production.')
  return true
}

/** In the order of `discoverKeySetUrl`; here each place is named that was asked in vain. */
async function fetchMetadata (issuer: string, findings: Findings): Promise<Fetched | undefined> {
  const failures: string[] = []
  for (const url of metadataUrls(issuer)) {
    const fetched = await fetchTimed(url)
    if (!(fetched instanceof FetchFailure)) {
      findings.ok('ISSUER_DISCOVERY', `${url} in ${fetched.ms} ms`)
      checkLatency('the metadata', fetched.ms, findings)
      return fetched
    }
    failures.push(`${url}: ${reasonOf(fetched)}`)
    if (!isElsewhere(fetched)) break
  }
  findings.error('ISSUER_DISCOVERY', `no metadata at ${failures.join('; ')}`,
    'Check the address: it is the `iss` of the tokens, without `/.well-known`. For an issuer without metadata configure `jwksUri`.')
  return undefined
}

/** Only where the server is well and has no metadata here is the second place asked: otherwise an outage would look like another setup. */
function isElsewhere ({ reason, status = 0 }: FetchFailure): boolean {
  return (reason === 'status' && status < 500) || reason === 'parse' || reason === 'redirect'
}

async function fetchTimed (url: string): Promise<Fetched | FetchFailure> {
  const started = performance.now()
  try {
    const document = await fetchDocument(url, { timeout })
    if (!isMembers(document)) return new FetchFailure('parse')
    return { document, url, ms: Math.round(performance.now() - started) }
  } catch (error) {
    return error instanceof FetchFailure ? error : new FetchFailure('transport')
  }
}

function reasonOf ({ message, cause }: FetchFailure): string {
  return cause instanceof Error && 'code' in cause ? `${message} (${String(cause.code)})` : message
}

function checkLatency (what: string, ms: number, findings: Findings): void {
  if (ms < SLOW) findings.ok('ISSUER_LATENCY', `${what} came in ${ms} ms`)
  else {
    findings.warning('ISSUER_LATENCY', `${what} took ${ms} ms; after ${timeout} ms the suite gives up`,
      'Check the path to the issuer: a proxy, name resolution, or a distant region.')
  }
}

function checkMatch (issuer: string, { issuer: named }: Members, findings: Findings): boolean {
  const matches = named === issuer
  if (matches) findings.ok('ISSUER_MATCH', 'the metadata names this issuer')
  else {
    findings.error('ISSUER_MATCH', `the metadata names ${show(named)}, and is refused for ${issuer}`, isMistyped(named, issuer)
      ? `Write exactly ${String(named)}.`
      : 'Give the issuer as the metadata and the tokens write it; every character counts.')
  }
  return matches
}

function isMistyped (named: unknown, issuer: string): boolean {
  return typeof named === 'string' && named.replace(/\/$/, '').toLowerCase() === issuer.replace(/\/$/, '').toLowerCase()
}

/** @returns those that the metadata names and that are accepted; none: it does not say */
function checkAlgorithms (metadata: Members, accepted: readonly Algorithm[], findings: Findings): readonly Algorithm[] {
  const offered = metadata.id_token_signing_alg_values_supported
  if (!Array.isArray(offered)) {
    findings.note('ISSUER_ALGORITHMS', 'the metadata lists no algorithms; the keys decide')
    return []
  }
  const names = offered.filter(name => typeof name === 'string')
  const shared = accepted.filter(algorithm => names.includes(algorithm))
  const rest = names.filter(name => !shared.some(algorithm => algorithm === name))
  const never = rest.length === 0 ? '' : `; never accepted: ${rest.join(', ')}`
  if (shared.length > 0) findings.ok('ISSUER_ALGORITHMS', `accepted: ${shared.join(', ')}${never}`)
  else {
    findings.error('ISSUER_ALGORITHMS', `it signs with ${names.join(', ')}, and accepted are ${accepted.join(', ')}`,
      'Have the issuer sign with one of those.')
  }
  return shared
}

/** A key without `alg` fits six algorithms; the metadata says which of them are used. */
function usedBy (key: ImportedKey, named: readonly Algorithm[]): readonly Algorithm[] {
  const both = key.algorithms.filter(algorithm => named.includes(algorithm))
  return both.length === 0 ? key.algorithms : both
}

/** A Date header is cut to whole seconds. */
const RESOLUTION = 1000
const TOLERANCE = 60_000

async function checkClock (url: string, findings: Findings): Promise<void> {
  const answer = await exchange(new URL(url)).catch(() => undefined)
  const there = Date.parse(answer?.headers.date ?? '')
  if (answer === undefined || Number.isNaN(there)) return findings.note('ISSUER_CLOCK', 'the answer has no Date')
  const apart = Math.max(0, Math.abs(there + RESOLUTION / 2 - answer.at) - RESOLUTION)
  const seconds = `${Math.round(apart / 1000)} seconds apart`
  if (apart >= TOLERANCE) {
    findings.error('ISSUER_CLOCK', `the clocks are ${seconds}; fresh tokens are refused from 60 on`,
      'Synchronize the clock of this machine by NTP.')
  } else if (apart >= 5000) findings.warning('ISSUER_CLOCK', `the clocks are ${seconds}`, 'Synchronize the clock of this machine by NTP.')
  else findings.ok('ISSUER_CLOCK', `the clocks agree (${seconds})`)
}

async function checkKeys (uri: unknown, accepted: readonly Algorithm[], named: readonly Algorithm[],
  findings: Findings): Promise<readonly ImportedKey[]> {
  if (typeof uri !== 'string' || !isSecureUrl(uri, true)) {
    findings.error('ISSUER_KEYS', `jwks_uri is ${withoutSecrets(show(uri))}`,
      'The metadata needs an https address of the key set in `jwks_uri`; or configure `jwksUri`.')
    return []
  }
  const fetched = await fetchTimed(uri)
  if (fetched instanceof FetchFailure) {
    findings.error('ISSUER_KEYS', `${uri}: ${reasonOf(fetched)}`, 'Check why this machine cannot fetch the key set.')
    return []
  }
  checkLatency('the key set', fetched.ms, findings)
  return judgeKeys(fetched, accepted, named, findings)
}

function judgeKeys ({ document, url }: Fetched, accepted: readonly Algorithm[], named: readonly Algorithm[],
  findings: Findings): readonly ImportedKey[] {
  const { keys, dropped } = importKeys(document, accepted)
  if (keys.length > 0) findings.ok('ISSUER_KEYS', `${url} has ${keys.length} usable ${keys.length === 1 ? 'key' : 'keys'}`)
  else {
    findings.error('ISSUER_KEYS', `${url} has no key that can verify tokens`,
      'Nothing can be accepted from this issuer; see the keys below.')
  }
  for (const imported of keys) {
    const { kid, key } = imported
    const what = `${describe(key)}, ${usedBy(imported, named).join(' ')}`
    if (kid !== undefined) findings.ok('ISSUER_KEY', what, kid)
    else if (keys.length === 1) findings.note('ISSUER_KEY', `${what}, without a kid`)
    else {
      findings.warning('ISSUER_KEY', `${what}, without a kid beside other keys`,
        'Have the issuer name its keys; a token without kid fits only where one key does.')
    }
  }
  for (const { kid, reason, index } of dropped) judgeDropped(kid ?? `at place ${index}`, reason, findings)
  return keys
}

/** What makes a key dangerous to its issuer, and to everybody who believes it. The other reasons are ordinary. */
const dangerous: Partial<Record<DropReason, string>> = {
  private: 'The private half is published: take the key as stolen, and have the issuer replace it at once.',
  symmetric: 'A shared secret is published: have the issuer remove and replace it.',
  'rsa-size': 'Have the issuer use RSA keys of 2048 to 8192 bits (RFC 7518 §3.3).',
  'rsa-exponent': 'Have the issuer use the exponent 65537.',
  malformed: 'Have the issuer publish JWKs by RFC 7517.'
}

function judgeDropped (name: string, reason: DropReason, findings: Findings): void {
  const fix = dangerous[reason]
  if (fix === undefined) findings.note('ISSUER_KEY', `not used here (${reason})`, name)
  else findings.error('ISSUER_KEY', `never used (${reason})`, fix, name)
}

function describe ({ asymmetricKeyType, asymmetricKeyDetails: { modulusLength, namedCurve } = {} }: KeyObject): string {
  if (modulusLength !== undefined) return `RSA of ${modulusLength} bits`
  return namedCurve ?? asymmetricKeyType ?? 'a key'
}

const hosts: ReadonlyArray<readonly [PresetName, RegExp]> = [
  ['entra', /^https:\/\/login\.(?:microsoftonline\.(?:com|us)|partner\.microsoftonline\.cn)\//],
  ['entra', /^https:\/\/(?:sts\.windows\.net|[^/]+\.ciamlogin\.com)\//],
  ['auth0', /^https:\/\/[^/]+\.auth0\.com\/?$/],
  ['keycloak', /^https:\/\/.+\/realms\/[^/]+\/?$/],
  ['okta', /^https:\/\/[^/]+\.okta(?:preview)?\.com\//],
  ['cognito', /^https:\/\/cognito-idp\./],
  ['google', /^https:\/\/accounts\.google\.com\/?$/]
]

/** The provider, where the address tells it. */
export function presetOf (issuer: string): PresetName | undefined {
  return hosts.find(([, form]) => form.test(issuer))?.[0]
}

/** What to write into the application. */
function configuration (issuer: string, audience: IssuerQuestion['audience'], preset: PresetName | undefined, keys: readonly ImportedKey[],
  named: readonly Algorithm[]): object {
  const used = [...new Set(keys.flatMap(key => usedBy(key, named)))]
  const narrow = preset === undefined && used.length > 0 && used.length < algorithms.length
  return {
    auth: {
      issuer,
      audience: audience ?? 'the name of your API at this issuer',
      ...(preset === undefined ? undefined : { preset }),
      ...(narrow ? { algorithms: used } : undefined)
    }
  }
}

function isMembers (value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function show (value: unknown): string {
  const text = typeof value === 'string' ? value : value === undefined ? 'absent' : JSON.stringify(value)
  return text.slice(0, 200)
}
