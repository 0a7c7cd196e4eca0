import { answer } from './children.mjs'
import { loadTesting } from './dist.mjs'
import { audience, scope } from './material.mjs'

const { createTestIssuer } = await loadTesting()
const issuer = await createTestIssuer({ alg: 'ES256', audience })
/** Of the keys that are published, the older ones first. */
const published = ['key-1']
const LIFETIME = 90
let users = 0

answer({
  address: () => ({ issuer: issuer.issuer, jwksUri: issuer.jwksUri }),
  /** New tokens of new subjects, which expire within two minutes. */
  tokens: ({ count }) => Array.from({ length: count },
    () => issuer.sign({ sub: `user-${++users}`, scope, exp: Math.floor(Date.now() / 1000) + LIFETIME })),
  rotate () {
    published.push(issuer.rotate())
    if (published.length > 2) issuer.remove(published.shift())
  }
}, () => issuer.close())
