import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import secureApi, {
  createRefreshTokens, type RefreshFamily, type RefreshTokens, type RefreshTokensOptions
} from '../../../plugins/index.ts'
import { holdClock } from '../../helpers/still-clock.ts'
import { startRedis } from '../../helpers/redis.ts'
import { answersOf, startFastify, until } from '../../helpers/server.ts'

const server = await startRedis()
const redis = new Redis(server.url, { enableOfflineQueue: true, maxRetriesPerRequest: 0 })
t.teardown(async () => {
  redis.disconnect()
  await server.close()
})

/** A table with versions, as in SQL: `update … where version = $1`. */
function table () {
  const rows = new Map<string, string>()
  return {
    rows,
    get: async (family: string) => rows.has(family) ? JSON.parse(rows.get(family) ?? '') as RefreshFamily : undefined,
    put: async (family: string, record: RefreshFamily) => {
      const { version = 0 } = JSON.parse(rows.get(family) ?? '{}') as Partial<RefreshFamily>
      if (version !== record.version - 1) return false
      rows.set(family, JSON.stringify(record))
      return true
    }
  }
}

const kinds: Readonly<Record<string, () => RefreshTokensOptions>> = {
  memory: () => ({}),
  redis: () => ({ redis }),
  store: () => ({ store: table() })
}

/** The code of the refusal, or what was answered. */
async function codeOf (asked: Promise<unknown>): Promise<unknown> {
  return await asked.then(() => 'accepted', (error: { code?: unknown }) => error.code)
}
const [invalid, reused, unavailable] = ['SECURE_API_REFRESH_INVALID', 'SECURE_API_REFRESH_REUSED', 'SECURE_API_REFRESH_UNAVAILABLE']

for (const [kind, where] of Object.entries(kinds)) {
  t.test(`${kind}: each token is good once, and gives the next`, async t => {
    holdClock(t)
    const tokens = createRefreshTokens(where())
    const first = await tokens.issue({ subject: 'alice', data: { tenant: 'acme' } })
    t.match(first.token, /^[\w-]{22}\.[\w-]{43}$/)
    const second = await tokens.rotate(first.token)
    t.match(second, { subject: 'alice', data: { tenant: 'acme' }, family: first.family, expiresAt: first.expiresAt })
    t.throws(() => Object.assign(second.data as object, { tenant: 'other' }), TypeError, 'kept as it was given')
    const third = await tokens.rotate(second.token)
    t.equal(new Set([first.token, second.token, third.token]).size, 3)
    t.equal(await codeOf(tokens.rotate(third.token)), 'accepted')
    const other = await tokens.issue({ subject: 'bob' })
    t.not(other.family, first.family)
    t.equal((await tokens.rotate(other.token)).data, undefined)
  })

  t.test(`${kind}: an old token that comes again ends the login, also for whoever has the newest`, async t => {
    holdClock(t)
    const tokens = createRefreshTokens({ ...where(), grace: 0 })
    const first = await tokens.issue({ subject: 'alice' })
    const second = await tokens.rotate(first.token)
    const bystander = await tokens.issue({ subject: 'alice' })
    t.strictSame([
      await codeOf(tokens.rotate(first.token)), await codeOf(tokens.rotate(second.token)), await codeOf(tokens.rotate(first.token)),
      await codeOf(tokens.rotate(bystander.token))
    ], [reused, invalid, invalid, 'accepted'])
  })

  t.test(`${kind}: two rotations at once are one, and without a grace exactly one wins`, async t => {
    holdClock(t)
    const tokens = createRefreshTokens(where())
    const { token } = await tokens.issue({ subject: 'alice' })
    const answers = await Promise.all(Array.from({ length: 8 }, () => tokens.rotate(token)))
    t.equal(new Set(answers.map(answer => answer.token)).size, 1, 'all get the same successor')
    t.equal(await codeOf(tokens.rotate(answers[0]?.token)), 'accepted')
    const strict = createRefreshTokens({ ...where(), grace: 0 })
    const { token: once } = await strict.issue({ subject: 'alice' })
    const codes = await Promise.all(Array.from({ length: 8 }, () => codeOf(strict.rotate(once))))
    t.equal(codes.filter(code => code === 'accepted').length, 1)
    t.equal(codes.filter(code => code === reused).length, 1)
  })

  t.test(`${kind}: a login is ended by its family, or by any of its tokens`, async t => {
    holdClock(t)
    const tokens = createRefreshTokens(where())
    const [one, two] = [await tokens.issue({ subject: 'alice' }), await tokens.issue({ subject: 'alice' })]
    await tokens.revoke(one.family)
    await tokens.revoke(two.token)
    await tokens.revoke('nothing')
    t.strictSame([await codeOf(tokens.rotate(one.token)), await codeOf(tokens.rotate(two.token))], [invalid, invalid])
  })

  t.test(`${kind}: what is no token is refused, and asks nobody`, async t => {
    holdClock(t)
    const tokens = createRefreshTokens(where())
    const { token, family } = await tokens.issue({ subject: 'alice' })
    const unknown = `${'A'.repeat(22)}.${'A'.repeat(43)}`
    const texts = ['', 'x', family, `${token}A`, token.slice(1), ` ${token}`, `${token}\n`, unknown]
    for (const wrong of [undefined, null, 7, {}, [token], ...texts]) {
      t.equal(await codeOf(tokens.rotate(wrong)), invalid, JSON.stringify(wrong))
    }
    t.equal(await codeOf(tokens.rotate(token)), 'accepted')
    for (const subject of [undefined, '']) await t.rejects(tokens.issue({ subject }), TypeError)
  })
}

for (const kind of ['memory', 'store'] as const) {
  t.test(`${kind}: a login ends with its lifetime, and the grace with its time`, async t => {
    let time = 1_800_000_000_000
    const tokens = createRefreshTokens({ ...kinds[kind]?.(), now: () => time, lifetime: '1 hour' })
    const first = await tokens.issue({ subject: 'alice' })
    const second = await tokens.rotate(first.token)
    time += 9_999
    t.equal((await tokens.rotate(first.token)).token, second.token, 'the answer was lost')
    time += 1
    t.equal(await codeOf(tokens.rotate(first.token)), reused)
    const late = await tokens.issue({ subject: 'alice' })
    time += 3_599_999
    const last = await tokens.rotate(late.token)
    time += 1
    t.equal(await codeOf(tokens.rotate(last.token)), invalid, 'rotating does not prolong it')
  })
}

t.test('redis: a login ends with its lifetime, and leaves nothing behind', async t => {
  holdClock(t)
  const tokens = createRefreshTokens({ redis, lifetime: '1 hour', prefix: 'life:' })
  const { token, family } = await tokens.issue({ subject: 'alice' })
  const life = await redis.pttl(`life:${family}`)
  t.ok(life > 3_500_000 && life <= 3_600_000, String(life))
  await redis.hset(`life:${family}`, 'expires', '1')
  t.equal(await codeOf(tokens.rotate(token)), invalid)
  await redis.hset(`life:${family}`, 'expires', String(Date.now() + 60_000))
  const next = await tokens.rotate(token)
  await redis.hset(`life:${family}`, 'rotated', String(Date.now() - 10_001))
  t.equal(await codeOf(tokens.rotate(token)), reused, 'the grace is over')
  t.equal(await codeOf(tokens.rotate(next.token)), invalid)
  const earlier = createRefreshTokens({ redis, lifetime: '30 seconds', prefix: 'life:', now: () => Date.now() - 60_000 })
  const over = await earlier.issue({ subject: 'alice' })
  t.equal(await codeOf(tokens.rotate(over.token)), invalid)
})

t.test('no store holds a token', async t => {
  holdClock(t)
  const store = table()
  const seen: string[] = []
  for (const options of [{ store }, { redis, prefix: 'canary:' }]) {
    const tokens = createRefreshTokens(options)
    const first = await tokens.issue({ subject: 'alice' })
    const second = await tokens.rotate(first.token)
    seen.push(...[first, second].flatMap(({ token }) => token.split('.')))
  }
  const [key = ''] = await redis.keys('canary:*')
  const kept = JSON.stringify([...store.rows, key, await redis.hgetall(key)])
  for (const part of seen) t.notOk(kept.includes(part))
})

t.test('a store that is away, late or wrong is 503, and accepts nothing', async t => {
  const good = table()
  const issued = await createRefreshTokens({ store: good }).issue({ subject: 'alice' })
  const wrong: Readonly<Record<string, RefreshTokensOptions>> = {
    throws: { store: { ...good, get: () => { throw new Error('down') } } },
    rejects: { store: { ...good, put: () => Promise.reject(new Error('down')) } },
    hangs: { store: { ...good, get: () => new Promise(() => {}) }, timeout: 20 },
    'always another version': { store: { ...good, put: () => false } },
    'no answer': { store: { ...good, put: () => undefined as never } },
    'no script': { redis: { eval: () => Promise.resolve('OK') } as never },
    nil: { redis: { eval: () => Promise.resolve(null) } as never },
    'an empty reply': { redis: { eval: () => Promise.resolve(['rotated']) } as never }
  }
  for (const [name, options] of Object.entries(wrong)) {
    const told: unknown[] = []
    const tokens = createRefreshTokens({ ...options, onFailure: cause => { told.push(cause) } })
    t.equal(await codeOf(tokens.rotate(issued.token)), unavailable, name)
    t.ok(told.length === 1 && told[0] instanceof Error, name)
  }
  t.equal(await codeOf(createRefreshTokens({ max: 0 }).issue({ subject: 'alice' })), unavailable, 'memory is bounded')
  t.throws(() => createRefreshTokens({ redis, store: good }), TypeError)
})

t.test('memory: logins that are over make room', async t => {
  let time = 1_800_000_000_000
  const tokens = createRefreshTokens({ max: 2, lifetime: '1 minute', now: () => time })
  await tokens.issue({ subject: 'a' })
  await tokens.issue({ subject: 'b' })
  t.equal(await codeOf(tokens.issue({ subject: 'c' })), unavailable)
  time += 60_000
  t.equal(await codeOf(tokens.issue({ subject: 'c' })), 'accepted')
})

t.test('memory: logins that were ended make room, and their tokens stay worthless', async t => {
  const tokens = createRefreshTokens({ max: 2 })
  const [first] = [await tokens.issue({ subject: 'a' }), await tokens.issue({ subject: 'a' })]
  await tokens.revoke(first.family)
  t.equal(await codeOf(tokens.rotate(first.token)), invalid)
  t.equal(await codeOf(tokens.issue({ subject: 'b' })), 'accepted')
  t.equal(await codeOf(tokens.rotate(first.token)), invalid)
  t.equal(await codeOf(tokens.issue({ subject: 'c' })), unavailable, 'those that count stay')
})

/** The first answer that comes within the 50 ms of Redis, which a busy machine may need several attempts for. */
async function heard <Answer> (ask: () => Promise<Answer>): Promise<Answer> {
  let answer: Answer | undefined
  await until(async () => (answer = await ask().catch(() => undefined)) !== undefined, 'an answer')
  if (answer === undefined) throw new Error('there is none')
  return answer
}

t.test('redis: away it is 503, and back it knows what was used', async t => {
  const own = await startRedis()
  const client = new Redis(own.url, { enableOfflineQueue: false, maxRetriesPerRequest: 0 })
  t.teardown(async () => {
    client.disconnect()
    await own.close()
  })
  await new Promise(resolve => client.once('ready', resolve))
  const tokens = createRefreshTokens({ redis: client, grace: 0 })
  const first = await heard(() => tokens.issue({ subject: 'alice' }))
  own.freeze()
  t.equal(await codeOf(tokens.rotate(first.token)), unavailable)
  own.thaw()
  let attempts = 0
  const code = await heard(async () => {
    attempts++
    const code = await codeOf(tokens.rotate(first.token))
    return code === unavailable ? undefined : code
  })
  // The frozen server may have rotated when it woke up: then the token was used, and nobody knows by whom. So may each further one.
  t.ok(['accepted', reused, ...attempts > 1 ? [invalid] : []].includes(String(code)), String(code))
  await own.kill()
  t.equal(await codeOf(tokens.rotate(first.token)), unavailable)
})

async function login (t: Test, refreshTokens: RefreshTokens) {
  const app = startFastify(t)
  const reasons: unknown[] = []
  const ownTokens = { issuer: 'https://api.example.com', audience: 'api://orders', secret: 'kX2p9vLq7Zr4Tn8Wd3Bf6Hy1Mc5Js0Ga' }
  await app.register(secureApi, {
    environment: 'development', auth: { ownTokens }, audit: { sink: ({ reason }) => { reasons.push(reason) } }
  })
  app.post<{ Body: { refresh_token: unknown } }>('/refresh', { config: { public: true } }, async ({ body }) => {
    const { subject, token } = await refreshTokens.rotate(body.refresh_token)
    return { access_token: app.jwt.sign({ sub: subject }), refresh_token: token }
  })
  app.get('/me', { config: { authenticated: true } }, async ({ auth }) => auth.subject)
  return { app, reasons }
}

t.test('in a route: refusals are answers, theft is in the trail, and a refresh token is no access token', async t => {
  holdClock(t)
  const refreshTokens = createRefreshTokens({ redis, grace: 0 })
  const { app, reasons } = await login(t, refreshTokens)
  const { token } = await refreshTokens.issue({ subject: 'alice' })
  const refresh = (given: unknown) => ({ method: 'POST' as const, url: '/refresh', payload: { refresh_token: given } })
  const answer = await app.inject(refresh(token))
  const { access_token: access, refresh_token: next } = answer.json()
  const me = (given: string) => ({ url: '/me', headers: { authorization: `Bearer ${given}` } })
  t.strictSame(await answersOf(app, me(access), me(next), refresh(access), refresh(token), refresh(next), refresh(undefined)),
    [200, [401, 'SECURE_API_TOKEN_MALFORMED'], [400, invalid], [400, reused], [400, invalid], [400, invalid]])
  t.ok(reasons.includes(reused))
  const { app: down } = await login(t, createRefreshTokens({ store: { get: () => { throw new Error('secret text') }, put: () => false } }))
  const refused = await down.inject(refresh(token))
  t.strictSame([refused.statusCode, refused.headers['retry-after'], refused.json().code], [503, '1', unavailable])
  t.notMatch(refused.body, /secret text/)
})
