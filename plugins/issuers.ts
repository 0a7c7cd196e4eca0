import type { FastifyInstance } from 'fastify'
import type { AuthenticationOptions } from '../lib/authentication/index.ts'
import { ConfigurationError, type Clock } from '../lib/config/index.ts'
import type { AnswerCode } from '../lib/http/index.ts'
import { faultOfNext, IntrospectionClient, timesOf, type IntrospectionOptions } from '../lib/introspection/index.ts'
import {
  exchangeOver, explainFailure, FetchFailure, fetchOver, isProxy, KeyRing, resolveKeysOptions, type Algorithm, type KeyEvent,
  type KeyRingOptions, type KeyRingStatus
} from '../lib/keys/index.ts'
import { follow, textOf, Turns, weaknessOf, type SecretSource } from '../lib/secrets/index.ts'
import {
  compileOwn, hasKeys, legacyForm, ownLifetime, OwnSecret, type Introspection, type IssuerOptions, type IssuerRules, type OwnSigner,
  type OwnSigners, type OwnTokensOptions, type TokenAlgorithm, type TokenAuthenticatorOptions, type TrustedIssuer
} from '../lib/tokens/index.ts'
import { peerWatch } from './expiries.ts'
import type { Frame } from './ports.ts'
import { warn } from './warn.ts'

/** The key rings of all issuers. Issuers whose keys come from the same address in the same way share one. */
export class Rings {
  readonly #app: FastifyInstance
  readonly #development: boolean
  readonly #clock: Clock | undefined
  readonly #shared = new Map<string, KeyRing>()
  readonly #named: { readonly issuer: string, readonly ring: KeyRing }[] = []

  constructor (app: FastifyInstance, development: boolean, clock: Clock | undefined) {
    this.#app = app
    this.#development = development
    this.#clock = clock
  }

  /** Each once. */
  get list (): readonly KeyRing[] {
    return [...new Set(this.#named.map(({ ring }) => ring))]
  }

  /** By the issuers as they were written: the tenants of one `jwksUri` are one entry. */
  status (): KeyRingStatus[] {
    return this.#named.map(({ issuer, ring }) => ({ ...ring.status(), issuer }))
  }

  /** The keys of an exact issuer; 300 tenants with one `jwksUri` are one fetch. */
  of (options: IssuerOptions, { issuer, algorithms }: IssuerRules<Algorithm>): KeyRing {
    const { jwksUri, keys = {} } = options
    if (jwksUri === undefined) return this.#add(issuer, this.#create(options, issuer, algorithms))
    const place = JSON.stringify([jwksUri, algorithms, Object.entries({ ...keys, proxy: keys.proxy && textOf(keys.proxy) }).sort()])
    const ring = this.#shared.get(place) ?? this.#create(options, options.issuer, algorithms)
    this.#shared.set(place, ring)
    return this.#named.some(known => known.ring === ring && known.issuer === options.issuer) ? ring : this.#add(options.issuer, ring)
  }

  /** Over the same way as the keys. */
  introspect ({ issuer, keys: { proxy, ...keys } = {} }: IssuerOptions, options: IntrospectionOptions): Introspection {
    const { client: { certificate: cert, privateKey } } = options
    const key = textOf(privateKey)
    const shown = cert === undefined || key === undefined ? {} : { cert, key }
    const onPeer = peerWatch(this.#app, `issuer ${issuer}`)
    const client = new IntrospectionClient({
      issuer,
      options,
      exchange: overProxy(proxy, way => exchangeOver({ ...keys, ...way, onPeer }, shown)),
      fetch: overProxy(proxy, way => fetchOver({ ...keys, ...way, onPeer })),
      allowLoopback: this.#development,
      insecureHosts: this.#development ? keys.insecureHosts ?? [] : [],
      now: this.#clock?.now,
      elapsed: this.#clock?.elapsed
    })
    identify(client, options)
    return { client, always: options.when === 'always', cache: timesOf(options).cache, signed: options.signed === true }
  }

  #add (issuer: string, ring: KeyRing): KeyRing {
    this.#named.push({ issuer, ring })
    return ring
  }

  #create (options: IssuerOptions, issuer: string, algorithms: readonly Algorithm[]): KeyRing {
    const { proxy, ...keys } = options.keys ?? {}
    const onPeer = peerWatch(this.#app, `issuer ${issuer}`)
    return new KeyRing({
      issuer,
      source: locationOf(options),
      algorithms,
      ...resolveKeysOptions(options.keys),
      allowLoopback: this.#development,
      insecureHosts: this.#development ? options.keys?.insecureHosts ?? [] : [],
      fetch: overProxy(proxy, way => fetchOver({ ...keys, ...way, onPeer })),
      ...(this.#clock === undefined ? undefined : { now: this.#clock.now, schedule: this.#clock.schedule }),
      onEvent: event => logKeys(this.#app, event)
    })
  }
}

/**
 * Ready without keys? No: protected routes would answer 503 that other instances can serve. Keys that are older than `refresh` are good
 * until `maxStale`, so an outage of the provider takes no instance out that has had them. Lazy rings wait for their first caller.
 */
export function watchKeys (pipeline: Frame, rings: readonly KeyRing[]): void {
  for (const ring of rings) {
    pipeline.watch(`keys ${ring.status().issuer}`, () => {
      const { state, fetches, lastFailure } = ring.status()
      return state !== 'empty' || fetches === 0 ? undefined : `no keys${lastFailure === undefined ? '' : `: ${lastFailure.reason}`}`
    })
  }
}

/** A tenant template stands for several exact issuers. */
export function trust (rings: Rings, issuer: IssuerOptions, compiled: readonly IssuerRules<Algorithm>[]): TrustedIssuer[] {
  const introspection = issuer.introspection && rings.introspect(issuer, issuer.introspection)
  return compiled.map(rules => ({
    rules,
    ...(hasKeys(issuer) && { keys: rings.of(issuer, rules) }),
    ...(introspection !== undefined && { introspection })
  }))
}

/** In milliseconds: as long as a provider, or an operator at a Redis, needs to know the new secret, or forgets the old. */
const OVERLAP = 300_000

/** New credentials are used at once. */
function identify (client: IntrospectionClient, options: IntrospectionOptions): void {
  for (const name of ['secret', 'privateKey'] as const) {
    follow(options.client[name], {
      overlap: OVERLAP,
      fault: text => faultOfNext(text, name, options),
      changed: texts => client.identify(texts.map(text => ({ ...options.client, [name]: text })))
    })
  }
}

type Ask<Options, Answer> = (url: string, options: Options) => Promise<Answer>

/** Over the proxy of today. While a new password is not known there, the old one is tried too. */
function overProxy<Options, Answer> (
  given: SecretSource | false | undefined, make: (proxy: { readonly proxy?: string | false }) => Ask<Options, Answer>
): Ask<Options, Answer> {
  if (given === undefined || given === false) return make(given === false ? { proxy: false } : {})
  const fault = (url: string) => isProxy(url) ? undefined : 'it is not the address of a proxy'
  const all = (urls: readonly string[]) => urls.map(proxy => make({ proxy }))
  const ways = new Turns(all(follow(given, { overlap: OVERLAP, fault, changed: urls => ways.replace(all(urls)) })))
  return (url, options) => ways.run(ask => ask(url, options), error => error instanceof FetchFailure && error.reason === 'proxy')
}

export function trustOwnTokens (rings: Rings, options: OwnTokensOptions, signers: OwnSigners): TrustedIssuer[] {
  const { issuer, audience } = options
  const { algorithm } = signers
  if (algorithm === 'HS256') {
    const keys = new OwnSecret(...secretsOf(signers.list))
    signers.onChange(list => keys.replace(secretsOf(list)))
    return [{ rules: rulesOfOwn(options, 'HS256'), keys }]
  }
  const rules = rulesOfOwn(options, algorithm)
  const keys = rings.of({ issuer, audience, algorithms: [algorithm], jwks: keySetOf(signers.list) }, rules)
  signers.onChange(list => keys.replace(keySetOf(list)))
  return [{ rules, keys }]
}

function secretsOf (signers: readonly OwnSigner[]): string[] {
  return signers.flatMap(signer => 'secret' in signer ? [signer.secret] : [])
}

function keySetOf (signers: readonly OwnSigner[]) {
  return { keys: signers.flatMap(signer => 'secret' in signer ? [] : [signer.publicJwk]) }
}

/** Own tokens of an old form, while the application moves. They end with the secret that has signed them: it may have leaked. */
export function trustLegacy (options: OwnTokensOptions): TokenAuthenticatorOptions['legacy'] {
  const { legacy, secret } = options
  if (legacy === undefined) return undefined
  const texts = follow(legacy.secret ?? secret, { overlap: 0, fault: weaknessOf, changed: texts => keys.replace(texts) })
  const keys = new OwnSecret(...texts)
  return { form: legacyForm(legacy, rulesOfOwn(options, 'HS256')), keys }
}

function rulesOfOwn<Name extends TokenAlgorithm> (options: OwnTokensOptions, algorithm: Name): IssuerRules<Name> {
  const { privateKey, secret, legacy, expiresIn, ...names } = options
  return compileOwn(names, ownLifetime(options), algorithm)
}

function locationOf ({ jwks, jwksUri, keys }: IssuerOptions): KeyRingOptions['source'] {
  if (keys?.source !== undefined) return { askFor: keys.source }
  if (jwks !== undefined) return { jwks }
  return jwksUri === undefined ? 'discovery' : { jwksUri }
}

export async function loadKeys (rings: readonly KeyRing[], startup: AuthenticationOptions['startup'] = 'warm'): Promise<void> {
  if (startup === 'lazy') return
  const loaded = await Promise.all(rings.map(ring => ring.load()))
  if (startup !== 'required' || loaded.every(Boolean)) return
  const missing = rings.filter((_, index) => loaded[index] !== true).map(reasonOf)
  throw new ConfigurationError([{
    code: 'SECURE_API_KEYS_REQUIRED',
    path: 'auth.startup',
    why: `no signing keys are available: ${missing.join('; ')}`,
    fix: "Check the issuer, or use `startup: 'warm'` to start without them and keep trying."
  }])
}

function reasonOf (ring: KeyRing): string {
  const { issuer, lastFailure } = ring.status()
  return lastFailure === undefined ? issuer : explainFailure(lastFailure, issuer)
}

function unfetched (event: Extract<KeyEvent, { type: 'keys.failed' }>): string {
  const meanwhile = event.usable ? 'keys fetched earlier stay in use' : 'protected routes answer 503'
  return `secure-api: cannot fetch the signing keys of ${event.issuer}; ${meanwhile}. ${explainFailure(event, event.issuer)}`
}

const code = 'SECURE_API_KEYS_UNAVAILABLE' satisfies AnswerCode
const quiet: readonly KeyEvent['type'][] = ['keys.loaded', 'keys.changed']

function logKeys (app: FastifyInstance, event: KeyEvent): void {
  if (quiet.includes(event.type)) app.log.info(event, 'secure-api: signing keys')
  else if (event.type === 'keys.failed') warn(app, { ...event, code }, unfetched(event))
  else warn(app, { ...event, code }, 'secure-api: signing keys')
}
