import { answer } from './children.mjs'
import { loadTesting } from './dist.mjs'
import { keySet } from './material.mjs'

const { createTestIssuer } = await loadTesting()
const issuer = await createTestIssuer()
issuer.publish(keySet())

answer({
  address: () => ({ origin: issuer.issuer, jwksUri: issuer.jwksUri }),
  hits: () => ({ ...issuer.hits })
}, () => issuer.close())
