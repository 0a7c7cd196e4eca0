import t from 'tap'
import { needsOf, Usage, type Call } from '../../../lib/usage/index.ts'

const issuer = 'https://login.example.com'
type Principal = NonNullable<Call['principal']>

function principal (client: string | undefined, scopes: readonly string[] = [], more: Partial<Principal> = {}): Principal {
  return { kind: 'user', credential: 'jwt', subject: 'alice', ...(client !== undefined && { client }), issuer, scopes, ...more }
}

function call (more: Partial<Call> = {}): Call {
  return {
    time: '2026-11-01T00:00:00.000Z',
    event: 'api_access',
    outcome: 'allowed',
    status: 200,
    method: 'GET',
    route: '/orders',
    rule: { scope: 'orders.read' },
    principal: principal('web', ['orders.read']),
    ...more
  }
}

const forbidden = { outcome: 'denied', status: 403, event: 'authz_fail' } as const

function summaryOf (calls: readonly Call[], usage = new Usage()) {
  for (const one of calls) usage.see(one)
  return usage.summary()
}

t.test('what a rule needs of scopes', async t => {
  const scopes = (...given: Parameters<typeof needsOf>) => [...needsOf(...given).scopes]
  t.strictSame(scopes({ scope: 'a' }), ['a'])
  t.strictSame(scopes({ scope: { all: ['a', 'b'] } }), ['a', 'b'])
  t.strictSame(scopes({ scope: { any: ['a', 'b'] }, role: 'r' }), ['a', 'b'])
  for (const rule of ['public', 'authenticated', 'none', undefined] as const) t.strictSame(scopes(rule), [])
  const policies = { deep: { scope: 'c', policy: 'deeper' }, deeper: { scope: { any: ['d'] }, policy: { any: ['deep', 'owner'] } } }
  t.strictSame(scopes({ scope: 'a', policy: 'deep' }, policies), ['a', 'c', 'd'], 'policies that are rules, in a circle too')
  t.strictSame(needsOf({ policy: { all: ['deep', 'constructor'] } }, policies).policies, ['constructor', 'owner'])
})

t.test('carried and needed, by client', async t => {
  const both = principal('web', ['orders.read', 'orders.write'])
  const { clients, scopes } = summaryOf([
    call({ principal: both }),
    call({ principal: both, rule: { scope: { any: ['orders.write', 'admin'] } }, route: '/any' }),
    call({ principal: principal('job', ['admin']), ...forbidden }),
    call({ principal: principal('job', ['admin', 'orders.read']), outcome: 'failed', status: 500 }),
    call({ principal: principal('job', ['admin', 'orders.read']), outcome: 'denied', status: 404 })
  ])
  t.match(clients, [
    {
      client: 'job',
      calls: 3,
      forbidden: 1,
      scopes: [{ scope: 'admin', carried: 3, needed: 0 }, { scope: 'orders.read', carried: 2, needed: 2 }]
    },
    { client: 'web', calls: 2, scopes: [{ scope: 'orders.read', carried: 2, needed: 1 }, { scope: 'orders.write', carried: 2, needed: 1 }] }
  ], 'a call that was refused needed nothing; one that failed did')
  t.match(scopes.find(({ scope }) => scope === 'admin'), { carried: 3, needed: 0, clients: 1, routes: ['GET /any'] })
})

t.test('clients are told apart by issuer and by kind', async t => {
  const { clients } = summaryOf([
    call({ principal: principal('a') }), call({ principal: principal('a', [], { issuer: 'https://other.example' }) }),
    call({ principal: { kind: 'api-key', credential: 'api-key', subject: 's', client: 'a', keyId: 'a' } }),
    call({ principal: { kind: 'user', credential: 'session', subject: 's' } }), call({ principal: principal('session') })
  ])
  t.strictSame(clients.map(({ client, kind, issuer }) => [client, kind, issuer]), [
    ['a', 'client', issuer], ['session', 'client', issuer], ['a', 'client', 'https://other.example'], ['a', 'api-key', undefined],
    ['session', 'unnamed', undefined]
  ])
})

t.test('routes: what nobody calls is seen where it is known; HEAD is its GET', async t => {
  const { route: _route, rule: _rule, ...unknown } = call({ outcome: 'denied', status: 404 })
  const usage = new Usage()
  usage.know({ methods: ['GET'], url: '/orders', rule: { scope: 'orders.read' }, complete: true })
  usage.know({ methods: ['HEAD'], url: '/orders', complete: true })
  usage.know({ methods: ['POST', 'PUT'], url: '/orders', rule: { policy: 'writer' }, policies: { writer: { scope: 'w' } }, complete: true })
  usage.know({ methods: ['DELETE'], url: '/orders', rule: { scope: 'd' }, complete: false })
  const { routes, scopes, unplaced, calls } = summaryOf([
    call(), call({ method: 'HEAD' }), call({ method: 'PUT', rule: { policy: 'writer' }, principal: principal('web', ['w']) }),
    call({ route: '/new', outcome: 'aborted', status: 499 }), { ...unknown, repeats: 5 }, { ...unknown, method: '' }
  ], usage)
  t.match(routes, [
    { route: 'GET /orders', known: true, calls: 2, allowed: 2 },
    { route: 'POST,PUT /orders', calls: 1, complete: true },
    { route: 'DELETE /orders', calls: 0, complete: false },
    { route: 'GET /new', known: false, calls: 1, aborted: 1 }
  ])
  t.equal(unplaced, 6)
  t.equal(calls, 10)
  t.match(scopes.find(({ scope }) => scope === 'w'), { carried: 1, needed: 1, routes: ['POST,PUT /orders'] })
  t.match(scopes.find(({ scope }) => scope === 'd'), { carried: 0, needed: 0, clients: 0, routes: ['DELETE /orders'] })
})

t.test('a rule that changed is followed from the call on that met it', async t => {
  const { clients } = summaryOf([
    call({ principal: principal('web', ['a', 'b']), rule: { scope: 'a' } }),
    call({ principal: principal('web', ['a', 'b']), rule: { scope: 'b' } })
  ])
  t.match(clients, [{ scopes: [{ scope: 'a', needed: 1 }, { scope: 'b', needed: 1 }] }])
})

t.test('the end of a socket and what browsers report are no calls', async t => {
  const { calls, clients } = summaryOf([call({ event: 'api_connection_closed' }), call({ event: 'malicious_csp_violation' }), call()])
  t.equal(calls, 1)
  t.equal(clients[0]?.calls, 1)
})

t.test('callers that only ever get 403: one other answer is enough to leave the list', async t => {
  const who = (subject: string) => ({ principal: principal('web', [], { subject }) })
  const { refused, callers } = summaryOf([
    ...Array.from({ length: 30 }, () => call({ ...who('mallory'), ...forbidden })),
    call(who('bob')), ...Array.from({ length: 40 }, () => call({ ...who('bob'), ...forbidden })),
    ...Array.from({ length: 40 }, () => call({ ...who('carol'), ...forbidden })), call({ ...who('carol'), outcome: 'failed', status: 500 }),
    call({ ...who('dave'), ...forbidden, repeats: 7 }), call({ ...who('dave'), outcome: 'denied', status: 429 })
  ])
  t.match(refused, [{ subject: 'mallory', client: 'web', issuer, atLeast: 30, atMost: 30 }, { subject: 'dave', atLeast: 7 }])
  t.equal(refused.length, 2)
  t.equal(callers, 4)
})

t.test('bounds: further clients, routes and scopes are counted together, and said to be so', async t => {
  const usage = new Usage({ clients: 10, routes: 5, scopes: 30, refused: 4 })
  for (let index = 0; index < 1000; index++) {
    const scopes = [`s${index}`, 'orders.read']
    usage.see(call({ route: `/r${index}`, principal: principal(`client-${index}`, scopes, { subject: `u${index}` }) }))
    usage.see(call({ ...forbidden, principal: principal(`client-${index}`, [], { subject: `x${index}` }) }))
  }
  const { clients, routes, scopes, refused, beyond, calls, callers, unplaced } = usage.summary()
  t.equal(calls, 2000)
  t.equal(clients.length, 10)
  t.equal(routes.length, 5)
  t.ok(scopes.length <= 30)
  t.equal(refused.length, 4)
  t.equal(beyond.calls, 1980)
  t.ok(Math.abs(beyond.clients - 990) < 60, `${beyond.clients}`)
  t.ok(Math.abs(callers - 2000) < 120, `${callers}`)
  t.ok(beyond.scopes)
  t.ok(unplaced > 900)
  const long = summaryOf([call({ principal: principal('c'.repeat(300), ['s'.repeat(300)]) }), call({ route: 'x'.repeat(5000) })])
  t.match(long, { clients: [{ client: 'web' }], routes: [{ route: 'GET /orders' }], unplaced: 1 })
  t.ok(JSON.stringify(long).length < 2000, 'no name of any length is kept')
})

t.test('names of the prototype are names', async t => {
  const { clients, scopes } = summaryOf([
    call({ route: '__proto__', method: 'constructor', principal: principal('__proto__', ['toString']) })
  ])
  t.match(clients, [{ client: '__proto__', scopes: [{ scope: 'toString' }], routes: [{ route: 'constructor __proto__' }] }])
  t.ok(scopes.some(({ scope }) => scope === 'toString'))
})

t.test('counts are those of a plain count, whatever calls come in whatever order', async t => {
  let seed = 7
  const pick = <Item> (list: readonly Item[]): Item => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0
    return list[(seed >>> 8) % list.length] as Item
  }
  const exact = new Map<string, [carried: number, needed: number]>()
  const usage = new Usage()
  const rules: ReadonlyArray<NonNullable<Call['rule']>> = [{ scope: 'a' }, { scope: { any: ['b', 'c'] } }, 'public']
  const lists = [['a'], ['a', 'b'], ['b', 'c', 'a'], []]
  for (let turn = 0; turn < 3000; turn++) {
    const [client, carried, status] = [pick(['x', 'y', 'z']), pick(lists), pick([200, 403, 500])]
    const rule = pick(rules)
    const outcome = status === 200 ? 'allowed' : status === 403 ? 'denied' : 'failed'
    usage.see(call({ principal: principal(client, carried), rule, status, outcome, route: `/${JSON.stringify(rule)}` }))
    for (const name of new Set(carried)) {
      const counts = exact.get(`${client} ${name}`) ?? [0, 0]
      counts[0]++
      if (status !== 403 && needsOf(rule).scopes.has(name)) counts[1]++
      exact.set(`${client} ${name}`, counts)
    }
  }
  const counted = usage.summary().clients.flatMap(({ client, scopes }) =>
    scopes.map(({ scope, carried, needed }): [string, [number, number]] => [`${client} ${scope}`, [carried, needed]]))
  t.strictSame(new Map(counted), exact)
})

t.test('19 attack: issuers and subjects of any length are not kept', t => {
  const usage = new Usage()
  const long = 'x'.repeat(100_000)
  const refused = { outcome: 'denied', status: 403 } as const
  usage.see(call({ ...refused, principal: principal('c', [], { issuer: long }) }))
  usage.see(call({ ...refused, principal: principal('c', [], { subject: long }) }))
  t.notMatch(JSON.stringify(usage.summary()), /x{1000}/)
  t.match(usage.summary(), { calls: 2, beyond: { clients: 1, calls: 1 } })
  t.end()
})
