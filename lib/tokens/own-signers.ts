import { follow, weaknessOf } from '../secrets/index.ts'
import { faultOfNextKey, ownLifetime, readOwnKey, type OwnKey, type OwnTokensOptions } from './own.ts'

/** What signs the own tokens: a key pair, whose public half is in a key set, or a secret, which is in none. */
export type OwnSigner = OwnKey | { readonly algorithm: 'HS256', readonly secret: string }

/** In milliseconds, as `clockTolerance` of own tokens. */
const TOLERANCE = 60_000

/** What signs the own tokens, and what did until lately: its tokens are good until the last of them has ended. Of validated options. */
export class OwnSigners {
  /** The first one signs. */
  list: readonly [OwnSigner, ...OwnSigner[]]
  readonly #listeners: Array<(signers: readonly OwnSigner[]) => void> = []

  constructor (options: OwnTokensOptions) {
    const { privateKey, secret = privateKey } = options
    const isSecret = secret !== privateKey
    const read = (text: string): OwnSigner => isSecret ? { algorithm: 'HS256', secret: text } : keyOf(text)
    const texts = follow(secret, {
      overlap: ownLifetime(options) * 1000 + TOLERANCE,
      leads: true,
      fault: text => isSecret ? weaknessOf(text) : faultOfNextKey(text, this.algorithm),
      changed: texts => { this.#replace(texts.map(read)) }
    })
    this.list = filled(texts.map(read))
  }

  get algorithm (): OwnSigner['algorithm'] {
    return this.list[0].algorithm
  }

  /** Told of each change. */
  onChange (listener: (signers: readonly OwnSigner[]) => void): void {
    this.#listeners.push(listener)
  }

  #replace (signers: readonly OwnSigner[]): void {
    this.list = filled(signers)
    for (const listener of this.#listeners) listener(signers)
  }
}

function keyOf (pem: string): OwnKey {
  const key = readOwnKey(pem)
  if (key === undefined) throw new TypeError('the private key was not validated')
  return key
}

function filled ([first, ...others]: readonly OwnSigner[]): readonly [OwnSigner, ...OwnSigner[]] {
  if (first === undefined) throw new TypeError('nothing signs the tokens')
  return [first, ...others]
}
