import { format, inspect } from 'node:util'
import { serialize } from 'node:v8'
import fc from 'fast-check'
import t from 'tap'
import { KeptSecret, Secret, textOf } from '../../../lib/secrets/index.ts'

const kept = (text: string): Secret => new KeptSecret({
  option: 'auth.ownTokens.secret',
  place: { env: 'TOKEN_SECRET' },
  first: { text },
  tell: () => {},
  now: () => 0,
  schedule: () => () => {},
  random: () => 0
})

/** Every way in which a value comes out by mistake. */
const ways: Readonly<Record<string, (secret: Secret) => string>> = {
  String: secret => String(secret),
  template: secret => `${secret}`,
  concatenation: secret => '' + (secret as unknown as string),
  number: secret => String(Number(secret)),
  JSON: secret => JSON.stringify({ secret, list: [secret] }),
  inspect: secret => inspect({ secret }, { showHidden: true, depth: 9, getters: true, customInspect: true }),
  'inspect without the own way': secret => inspect(secret, { showHidden: true, depth: 9, getters: true, customInspect: false }),
  format: secret => format('%s %o %O %j %d', secret, secret, secret, secret, secret),
  members: secret => JSON.stringify([Object.entries(secret), Object.getOwnPropertyNames(secret), { ...secret }, Object.assign({}, secret)]),
  error: secret => inspect(new Error(String(secret), { cause: secret })),
  'thrown type error': secret => {
    try {
      return (secret as unknown as () => string)()
    } catch (error) {
      return inspect(error)
    }
  },
  clone: secret => inspect(structuredClone({ secret }), { showHidden: true }),
  serialize: secret => serialize(secret).toString('latin1'),
  locale: secret => secret.toLocaleString(),
  value: secret => inspect(secret.valueOf(), { showHidden: true }),
  query: secret => new URLSearchParams({ secret: secret as unknown as string }).toString()
}

t.test('nothing prints a secret but reveal()', async t => {
  const text = fc.stringMatching(/^[a-z0-9]{6,40}$/).map(text => `cAnArY${text}`)
  for (const [name, print] of Object.entries(ways)) {
    fc.assert(fc.property(text, fc.boolean(), (value, isKept) => {
      const secret = isKept ? kept(value) : new Secret(value)
      return !/canary/i.test(print(secret)) && secret.reveal() === value && secret.use(shown => shown === value)
    }), { numRuns: 30 })
    t.pass(name)
  }
})

t.test('what is no text is no secret', async t => {
  t.throws(() => new Secret(7 as unknown as string), TypeError)
  t.equal(textOf('a'), 'a')
  t.equal(textOf(new Secret('b')), 'b')
  t.equal(textOf({ env: 'C' }), undefined)
  t.match(new Secret('b'), { source: 'application', owner: undefined })
})
