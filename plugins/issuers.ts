import type { FastifyInstance } from 'fastify'
import type { AuthenticationOptions } from '../lib/authentication/index.ts'
import { ConfigurationError, type Clock } from '../lib/config/index.ts'
import type { AnswerCode } from '../lib/http/index.ts'
import { IntrospectionClient, timesOf, type IntrospectionOptions } from '../lib/introspection/index.ts'
import {
  exchangeOver, explainFailure, fetchOver, KeyRing, resolveKeysOptions, type Algorithm, type KeyEvent, type KeyRingOptions,
  type KeyRingStatus
} from '../lib/keys/index.ts'
import {
  compileOwn, hasKeys, legacyForm, ownLifetime, OwnSecret, readOwnKey, type Introspection, type IssuerOptions, type IssuerRules,
  type OwnKey, type OwnTokensOptions, type TokenAlgorithm, type TokenAuthenticatorOptions, type TrustedIssuer
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
    const place = JSON.stringify([jwksUri, algorithms, Object.entries(keys).sort()])
    const ring = this.#shared.get(place) ?? this.#create(options, options.issuer, algorithms)
    this.#shared.set(place, ring)
    return this.#named.some(known => known.ring === ring && known.issuer === options.issuer) ? ring : this.#add(options.issuer, ring)
  }

  /** Over the same way as the keys. */
  introspect ({ issuer, keys = {} }: IssuerOptions, options: IntrospectionOptions): Introspection {
    const { client: { certificate: cert, privateKey: key } } = options
    const onPeer = peerWatch(this.#app, `issuer ${issuer}`)
    const client = new IntrospectionClient({
      issuer,
      options,
      exchange: exchangeOver({ ...keys, onPeer }, cert === undefined || key === undefined ? {} : { cert, key }),
      fetch: fetchOver({ ...keys, onPeer }),
      allowLoopback: this.#development,
      insecureHosts: this.#development ? keys.insecureHosts ?? [] : [],
      now: this.#clock?.now,
      elapsed: this.#clock?.elapsed
    })
    return { client, always: options.when === 'always', cache: timesOf(options).cache, signed: options.signed === true }
  }

  #add (issuer: string, ring: KeyRing): KeyRing {
    this.#named.push({ issuer, ring })
    return ring
  }

  #create (options: IssuerOptions, issuer: string, algorithms: readonly Algorithm[]): KeyRing {
    return new KeyRing({
      issuer,
      source: locationOf(options),
      algorithms,
      ...resolveKeysOptions(options.keys),
      allowLoopback: this.#development,
      insecureHosts: this.#development ? options.keys?.insecureHosts ?? [] : [],
      fetch: fetchOver({ ...options.keys, onPeer: peerWatch(this.#app, `issuer ${issuer}`) }),
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

/** What signs the own tokens: a key pair, whose public half is in a key set, or a secret, which is in none. */
export type OwnSigner = OwnKey | { readonly algorithm: 'HS256', readonly secret: string }

export function ownSigner ({ privateKey, secret }: OwnTokensOptions): OwnSigner {
  if (secret !== undefined) return { algorithm: 'HS256', secret }
  const key = readOwnKey(privateKey ?? '')
  if (key === undefined) throw new TypeError('the private key was not validated')
  return key
}

export function trustOwnTokens (rings: Rings, options: OwnTokensOptions, signer: OwnSigner): TrustedIssuer[] {
  if ('secret' in signer) return [{ rules: rulesOfOwn(options, 'HS256'), keys: new OwnSecret(signer.secret) }]
  const { algorithm, publicJwk } = signer
  const { issuer, audience } = options
  return trust(rings, { issuer, audience, algorithms: [algorithm], jwks: { keys: [publicJwk] } }, [rulesOfOwn(options, algorithm)])
}

/** Own tokens of an old form, while the application moves. */
export function trustLegacy (options: OwnTokensOptions): TokenAuthenticatorOptions['legacy'] {
  const { legacy, secret } = options
  const signed = legacy?.secret ?? secret
  if (legacy === undefined || signed === undefined) return undefined
  return { form: legacyForm(legacy, rulesOfOwn(options, 'HS256')), keys: new OwnSecret(signed) }
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
