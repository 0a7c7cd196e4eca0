import { chmodSync, mkdirSync, renameSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as turn } from 'node:timers/promises'
import { inspect } from 'node:util'
import t from 'tap'
import { check, ownOptions, Problems, Type, type Environment } from '../../../lib/config/index.ts'
import {
  follow, isPlace, KeptSecret, readNow, Secret, SecretPlaceSchema, Secrets, SecretSourceSchema, textOf, type SecretEvent,
  type SecretProvider, type SecretValue
} from '../../../lib/secrets/index.ts'

const CANARY = 'cAnArY-7f3a9c'
const DAY = 86_400_000
const schema = Type.Object({
  a: Type.Optional(SecretSourceSchema),
  url: Type.Optional(Type.Union([Type.Literal(false), SecretSourceSchema], { secretSource: 'url' }))
})

interface Plan { readonly due: number, readonly run: () => unknown }

/** A time that only a test moves. */
function manual () {
  const plans = new Set<Plan>()
  const clock = {
    time: Date.UTC(2026, 0, 1),
    now: () => clock.time,
    schedule: (run: () => unknown, ms: number) => {
      const plan = { due: clock.time + ms, run }
      plans.add(plan)
      return () => { plans.delete(plan) }
    },
    /** `hangs` where somebody waits for a deadline on this clock: that holds it not. Files are waited for, however long they take. */
    async advance (ms: number, hangs = false) {
      const end = clock.time + ms
      for (;;) {
        const [next] = [...plans].filter(({ due }) => due <= end).sort((a, b) => a.due - b.due)
        if (next === undefined) break
        plans.delete(next)
        clock.time = next.due
        await (hangs ? Promise.race([next.run(), turn(50)]) : next.run())
      }
      clock.time = end
    }
  }
  return clock
}

async function keep (options: object, environment: Environment = 'development', wait = 0) {
  const clock = manual()
  const events: SecretEvent[] = []
  const warnings: string[] = []
  const problems = new Problems()
  const secrets = new Secrets({
    ...clock, tell: event => { events.push(event) }, warn: code => { warnings.push(code) }, random: () => 0.5
  })
  const own = ownOptions(schema, options) as { a: unknown, url: unknown }
  const reading = secrets.read(schema, own, 'auth', problems, environment)
  if (wait > 0) await clock.advance(wait)
  await reading
  const codes = problems.list().map(({ code }) => code)
  return { clock, events, warnings, secrets, own, codes, problems }
}

/** A provider that says what the test wants. */
function vault (value: SecretValue | string) {
  const answer = (given: SecretValue | string) => typeof given === 'string' ? { value: given } : given
  const provider = {
    name: 'vault',
    asked: 0,
    closed: 0,
    next: async (_signal: AbortSignal): Promise<SecretValue> => answer(value),
    say (given: SecretValue | string) { provider.next = async () => answer(given) },
    read: async (_name: string, signal: AbortSignal) => {
      provider.asked++
      return await provider.next(signal)
    },
    close () { provider.closed++ }
  }
  return provider satisfies SecretProvider
}

t.test('a text is taken from the environment, or in production it stops the boot', async t => {
  process.env['SECURE_API_TEST_SECRET'] = `${CANARY}-from-env`
  process.env['SECURE_API_TEST_PEM'] = '-----BEGIN X-----\\nabc\\n-----END X-----'
  t.teardown(() => { delete process.env['SECURE_API_TEST_SECRET']; delete process.env['SECURE_API_TEST_PEM'] })
  const judged = async (options: object, environment: Environment = 'production') => {
    const { codes, secrets } = await keep(options, environment)
    return [codes, secrets.status().map(({ source }) => source)]
  }
  t.strictSame(await judged({ a: `${CANARY}-literal` }), [['SECURE_API_SECRET_LITERAL'], ['literal']])
  t.strictSame(await judged({ a: `${CANARY}-literal` }, 'development'), [[], ['literal']])
  t.strictSame(await judged({ a: `${CANARY}-from-env` }), [[], ['environment']])
  t.strictSame(await judged({ a: '-----BEGIN X-----\nabc\n-----END X-----\n' }), [[], ['environment']], 'as it is written in one line')
  t.strictSame(await judged({ a: new Secret(CANARY, { source: 'keychain' }) }), [[], ['keychain']])
  t.strictSame(await judged({ url: 'redis://redis.internal:6379' }), [[], []], 'without a password it is no secret')
  t.strictSame(await judged({ url: `redis://:${CANARY}@redis.internal` }), [['SECURE_API_SECRET_LITERAL'], ['literal']])
  t.strictSame(await judged({ url: `redis://redis.internal?password=${CANARY}` }), [['SECURE_API_SECRET_LITERAL'], ['literal']])
  t.strictSame(await judged({ url: `redis://:${CANARY}-from-env@redis.internal` }), [[], ['environment']])
  t.strictSame(await judged({ url: `http://${CANARY}@proxy.internal:3128` }), [['SECURE_API_SECRET_LITERAL'], ['literal']], 'a token')
  t.strictSame(await judged({ url: 'http://proxy.internal:3128' }), [[], []])
  t.strictSame(await judged({ url: 'redis://orders@redis.internal' }), [[], []], 'a name alone is no secret for Redis')
})

t.test('what cannot be had at boot is a coded problem at its option, and shows nothing', async t => {
  const folder = t.testdir({ empty: '', open: CANARY, large: 'x'.repeat(70_000), folder: {} })
  writeFileSync(join(folder, 'binary'), Buffer.from([0xff, 0xfe, 0x80]))
  for (const name of ['empty', 'large', 'binary', 'folder']) chmodSync(join(folder, name), 0o700)
  chmodSync(join(folder, 'open'), 0o644)
  const failing = (error: unknown) => ({ name: 'vault', read: async () => { throw error } })
  const cases: ReadonlyArray<readonly [object, string]> = [
    [{ env: 'SECURE_API_NOT_SET' }, 'SECURE_API_SECRET_UNAVAILABLE'],
    [{ file: join(folder, 'none') }, 'SECURE_API_SECRET_UNAVAILABLE'],
    [{ file: join(folder, 'empty') }, 'SECURE_API_SECRET_UNAVAILABLE'],
    [{ file: join(folder, 'large') }, 'SECURE_API_SECRET_UNAVAILABLE'],
    [{ file: join(folder, 'folder') }, 'SECURE_API_SECRET_UNAVAILABLE'],
    [{ file: join(folder, 'binary') }, 'SECURE_API_SECRET_UNAVAILABLE'],
    [{ file: join(folder, 'open') }, 'SECURE_API_SECRET_FILE_MODE'],
    [{ provider: failing(new Error(CANARY)), name: 'x' }, 'SECURE_API_SECRET_UNAVAILABLE'],
    [{ provider: failing(CANARY), name: 'x' }, 'SECURE_API_SECRET_UNAVAILABLE'],
    [{ provider: vault(''), name: 'x' }, 'SECURE_API_SECRET_UNAVAILABLE'],
    [{ provider: vault({ value: CANARY, created: 'someday' }), name: 'x' }, 'SECURE_API_SECRET_UNAVAILABLE'],
    [{ provider: { name: 'vault', read: async () => CANARY }, name: 'x' }, 'SECURE_API_SECRET_UNAVAILABLE'],
    [{ provider: {}, name: 'x' }, 'SECURE_API_SECRET_PROVIDER'],
    [{ env: 'HOME', refresh: 10 }, 'SECURE_API_OPTION_RANGE'],
    [{ env: 'HOME', rotateEvery: '1 minute' }, 'SECURE_API_OPTION_RANGE']
  ]
  for (const [a, code] of cases) {
    const { codes, problems, secrets } = await keep({ a }, 'production')
    t.strictSame(codes, [code], inspect(a))
    t.equal(problems.list()[0]?.path.startsWith('auth.a'), true)
    t.notMatch(JSON.stringify([problems.list(), secrets.status()]), CANARY)
  }
  const { codes, warnings } = await keep({ a: { file: join(folder, 'open') } })
  t.strictSame([codes, warnings], [[], ['SECURE_API_SECRET_FILE_MODE']], 'in development a warning')
})

t.test('a provider that hangs stops the boot within its deadline', async t => {
  const signals: AbortSignal[] = []
  const read = (_: string, signal: AbortSignal) => {
    signals.push(signal)
    return new Promise<never>(() => {})
  }
  const provider = { name: 'vault', read }
  const { codes } = await keep({ a: { provider, name: 'x' } }, 'production', 5000)
  t.strictSame(codes, ['SECURE_API_SECRET_UNAVAILABLE'])
  t.equal(signals[0]?.aborted, true)
})

function served (given: unknown, more: { overlap?: number, leads?: true } = {}) {
  const changes: Array<readonly string[]> = []
  const first = follow(given, {
    overlap: 10_000,
    fault: text => text.length < 5 ? 'it is too short' : undefined,
    changed: texts => { changes.push(texts) },
    ...more
  })
  return { first, changes }
}

t.test('a new value is used at once, and the old one stays good until the overlap ends', async t => {
  const provider = vault({ value: 'first', version: '1', created: '2025-12-01' })
  const { clock, secrets, own, events } = await keep({ a: { provider, name: 'x', rotateEvery: '90 days', refresh: '1 second' } })
  const { first, changes } = served(own.a)
  t.strictSame(first, ['first'])
  secrets.start()
  provider.say({ value: 'second', version: '2' })
  await clock.advance(1100)
  t.strictSame(changes, [['second', 'first']])
  t.equal(textOf(own.a), 'second')
  t.match(events, [{ type: 'changed', option: 'auth.a', source: 'provider vault: x', version: '2' }])
  t.type(secrets.status()[0]?.overlapUntil, 'string')
  provider.say('third!')
  await clock.advance(1100)
  t.strictSame(changes.at(-1), ['third!', 'second', 'first'])
  await clock.advance(20_000)
  t.strictSame(changes.at(-1), ['third!'])
  t.equal(secrets.status()[0]?.overlapUntil, undefined)
  const asked = provider.asked
  await secrets.close()
  await clock.advance(60_000)
  t.equal(provider.asked, asked, 'nothing is asked any more')
  t.equal(provider.closed, 1)
  t.notMatch(inspect([events, secrets.status(), secrets], { depth: 9, showHidden: true }), /first|second|third/)
})

t.test('a value that leads is accepted before it is used, so that all instances know it', async t => {
  const provider = vault('first')
  const { clock, secrets, own } = await keep({ a: { provider, name: 'x', refresh: '10 seconds' } })
  const { changes } = served(own.a, { leads: true, overlap: 60_000 })
  secrets.start()
  provider.say('second')
  await clock.advance(10_000)
  t.strictSame(changes, [['first', 'second']])
  await clock.advance(13_000)
  t.strictSame(changes.at(-1), ['second', 'first'])
  await clock.advance(60_000)
  t.strictSame(changes.at(-1), ['second'])
  for (const options of [{ lead: 0 }, { overlap: 0 }]) {
    const other = vault('first')
    const quick = await keep({ a: { provider: other, name: 'x', refresh: '10 seconds', ...options } })
    const { changes: told } = served(quick.own.a, { leads: true })
    quick.secrets.start()
    other.say('second')
    await quick.clock.advance(10_000)
    t.equal(told[0]?.[0], 'second', 'at once')
  }
})

t.test('a failure is told with the number of gRPC, and with what fetch() has in its cause', async t => {
  for (const [shape, told] of [[{ code: 7 }, '7'], [{ cause: { code: 'ENOTFOUND', message: CANARY } }, 'ENOTFOUND']] as const) {
    const provider = vault('first')
    const { clock, secrets } = await keep({ a: { provider, name: 'x', refresh: '1 second' } })
    secrets.start()
    provider.next = async () => { throw Object.assign(new Error(CANARY), shape) }
    await clock.advance(2000)
    t.equal(secrets.status()[0]?.why, `the provider failed with Error (${told})`)
  }
})

t.test('a failure, and a value that cannot be used, keep the old one, and are told once', async t => {
  const provider = vault('first')
  const { clock, secrets, own, events } = await keep({ a: { provider, name: 'x', refresh: '1 second' } })
  const { changes } = served(own.a)
  secrets.start()
  provider.next = async () => { throw Object.assign(new Error(CANARY), { code: 'ECONNREFUSED', statusCode: 503 }) }
  await clock.advance(60_000)
  t.strictSame(events.map(({ type }) => type), ['failed'])
  t.match(secrets.status()[0], { state: 'failing', why: 'the provider failed with Error (ECONNREFUSED, 503)' })
  const asked = provider.asked
  t.ok(asked < 10, `backs off: ${asked} looks`)
  provider.say('abc')
  await clock.advance(300_000)
  t.match(secrets.status()[0], { state: 'failing', why: 'it is too short' })
  provider.say('')
  await clock.advance(1_800_000)
  t.match(secrets.status()[0], { state: 'failing', why: 'it is empty' })
  provider.next = () => new Promise<never>(() => {})
  await clock.advance(1_800_000, true)
  t.strictSame(changes, [])
  t.equal(textOf(own.a), 'first')
  t.strictSame(events.map(({ type }) => type).slice(0, 3), ['failed', 'refused', 'failed'])
  t.notMatch(JSON.stringify([events, secrets.status()]), CANARY)
})

t.test('after a failure it is looked at again until it is good, and that is told', async t => {
  const provider = vault('first')
  const { clock, secrets, own, events } = await keep({ a: { provider, name: 'x', refresh: '1 second' } })
  const { changes } = served(own.a)
  secrets.start()
  provider.next = async () => { throw new Error() }
  await clock.advance(30_000)
  provider.say('second')
  await clock.advance(120_000)
  t.strictSame(changes[0], ['second', 'first'])
  t.match(secrets.status()[0], { state: 'good', failures: Number })
  t.strictSame(events.map(({ type }) => type), ['failed', 'restored', 'changed'])
})

t.test('files: replaced by a rename, by the links of Kubernetes, and never by half a file', async t => {
  const folder = t.testdir({ plain: 'first\n' })
  chmodSync(join(folder, 'plain'), 0o600)
  mkdirSync(join(folder, '..v1'))
  writeFileSync(join(folder, '..v1', 'key'), 'k8s-1', { mode: 0o600 })
  symlinkSync('..v1', join(folder, '..data'))
  symlinkSync('..data/key', join(folder, 'key'))
  const placeOf = (name: string) => ({ file: join(folder, name), refresh: '1 second' })
  const { clock, secrets, own } = await keep({ a: placeOf('plain'), url: placeOf('key') })
  const [plain, linked] = [served(own.a), served(own.url)]
  t.strictSame([plain.first, linked.first], [['first'], ['k8s-1']])
  secrets.start()
  writeFileSync(join(folder, 'next'), 'second\n', { mode: 0o600 })
  renameSync(join(folder, 'next'), join(folder, 'plain'))
  mkdirSync(join(folder, '..v2'))
  writeFileSync(join(folder, '..v2', 'key'), 'k8s-2', { mode: 0o600 })
  symlinkSync('..v2', join(folder, '..data_tmp'))
  renameSync(join(folder, '..data_tmp'), join(folder, '..data'))
  await clock.advance(1200)
  t.strictSame([plain.changes, linked.changes], [[['second', 'first']], [['k8s-2', 'k8s-1']]])
  writeFileSync(join(folder, 'plain'), '')
  await clock.advance(1200)
  t.equal(textOf(own.a), 'second')
  t.match(secrets.status().find(({ option }) => option === 'auth.a'), { state: 'failing', why: 'it is empty' })
})

t.test('20: a file that was wrong for long is taken within its refresh, once it is mended', async t => {
  const file = join(t.testdir({ key: 'first' }), 'key')
  chmodSync(file, 0o600)
  const put = (text: string) => {
    writeFileSync(`${file}.next`, text, { mode: 0o600 })
    renameSync(`${file}.next`, file)
  }
  const { clock, secrets, own, events } = await keep({ a: { file } })
  const { changes } = served(own.a)
  secrets.start()
  put('')
  await clock.advance(3_600_000)
  put('second')
  // Two seconds more: the number of a file that is gone may be given to the next one, which then looks like one that is written in place.
  await clock.advance(63_000)
  t.strictSame(changes[0], ['second', 'first'])
  t.strictSame(events.map(({ type }) => type), ['failed', 'restored', 'changed'])
})

t.test('a file that is written again with the same text has not been rotated', async t => {
  const folder = t.testdir({ key: 'first' })
  const file = join(folder, 'key')
  chmodSync(file, 0o600)
  const { clock, secrets, own } = await keep({ a: { file, rotateEvery: '90 days' } })
  const made = new Date(clock.time - 10 * DAY)
  utimesSync(file, made, made)
  const second = await keep({ a: { file, rotateEvery: '90 days' } })
  t.match(second.secrets.status()[0], { ageDays: 10, dueInDays: 80, state: 'good', created: made.toISOString() })
  second.secrets.start()
  utimesSync(file, new Date(clock.time), new Date(clock.time))
  await second.clock.advance(DAY)
  t.match(second.secrets.status()[0], { ageDays: 11, created: made.toISOString() })
  t.type(own.a, KeptSecret)
  await secrets.close()
})

t.test('the status says who looks after it, how old it is and when it is due, never what it is', async t => {
  process.env['SECURE_API_TEST_KEY'] = CANARY
  process.env['SECURE_API_TEST_KEY_CREATED'] = '2025-10-03'
  t.teardown(() => { delete process.env['SECURE_API_TEST_KEY']; delete process.env['SECURE_API_TEST_KEY_CREATED'] })
  const statusOf = async (a: object) => (await keep({ a })).secrets.status()[0]
  const place = { env: 'SECURE_API_TEST_KEY', owner: 'team-a@example.com' }
  t.match(await statusOf({ ...place, rotateEvery: '180 days' }), {
    option: 'auth.a', source: 'env SECURE_API_TEST_KEY', owner: 'team-a@example.com', ageDays: 90, dueInDays: 90, state: 'good', failures: 0
  })
  t.match(await statusOf({ ...place, rotateEvery: '100 days' }), { dueInDays: 10, state: 'due' })
  t.match(await statusOf({ ...place, rotateEvery: '89 days' }), { dueInDays: -1, state: 'overdue' })
  const expiring = { provider: vault({ value: CANARY, expires: '2026-01-20', version: '7' }), name: 'x' }
  t.match(await statusOf(expiring), { source: 'provider vault: x', expires: /^2026-01-20T/, dueInDays: 19, state: 'due', version: '7' })
  t.notMatch(JSON.stringify([await statusOf(place), await statusOf(expiring)]), CANARY)
})

t.test('a client of Redis, and what a prototype says, is no place of a secret', async t => {
  const client = { file: '/etc/redis.conf', provider: 'x', eval: async () => {}, evalsha: async () => {} }
  t.equal(isPlace(client), false)
  t.equal(isPlace(Object.create({ env: 'HOME' })), false)
  t.equal(isPlace({ env: 'HOME' }), true)
  const polluted = Object.prototype as { owner?: string, refresh?: string }
  polluted.owner = 'somebody'
  t.teardown(() => { delete polluted.owner })
  const [status] = (await keep({ a: { env: 'HOME' } })).secrets.status()
  t.equal(Object.hasOwn(status ?? {}, 'owner'), false)
})

/** Without `await`: what a look throws, it must not throw. */
async function lookedAt (first: SecretValue, next: () => unknown) {
  const provider = vault(first)
  const kept = await keep({ a: { provider, name: 'x' } })
  provider.next = async () => await next() as SecretValue
  const secret = kept.own.a as KeptSecret
  await secret.look()
  return { ...kept, secret, status: () => kept.secrets.status()[0] }
}

t.test('an error of a provider whose members throw is a failure like any other: nothing escapes, nothing is shown', async t => {
  const hostile = () => { throw new Error(CANARY) }
  const errors = [
    new Proxy(new Error(CANARY), { get: hostile, getPrototypeOf: hostile, has: hostile }),
    Object.defineProperty({}, 'name', { get: hostile }),
    Object.defineProperty(new Error(CANARY), 'code', { get: hostile })
  ]
  for (const error of errors) {
    const { status, events } = await lookedAt({ value: 'first' }, () => { throw error })
    t.match(status(), { state: 'failing', why: 'the provider failed' })
    t.notMatch(JSON.stringify([status(), events]), CANARY)
    const provider = { name: 'vault', read: async () => { throw error } }
    t.strictSame((await keep({ a: { provider, name: 'x' } })).codes, ['SECURE_API_SECRET_UNAVAILABLE'], 'at boot')
  }
})

t.test('a version that holds the value, moves the cursor or is a page long is not shown', async t => {
  for (const version of [`v-${CANARY}-1`, '\u001b[2J', 'x'.repeat(129), 'a\nb']) {
    const { secrets } = await keep({ a: { provider: vault({ value: CANARY, version }), name: 'x' } })
    t.equal(Object.hasOwn(secrets.status()[0] ?? {}, 'version'), false, inspect(version).slice(0, 40))
  }
  const { secrets } = await keep({ a: { provider: vault({ value: CANARY, version: 'x'.repeat(128) }), name: 'x' } })
  t.match(secrets.status()[0], { version: 'x'.repeat(128) })
})

t.test('what was made in the future would never be due, and no date is one that cannot be written', async t => {
  const made = (created: string) => ({ provider: vault({ value: CANARY, created }), name: 'x', rotateEvery: '90 days' })
  for (const created of ['+275760-09-13T00:00:00.000Z', '2026-01-03']) {
    const { codes, problems } = await keep({ a: made(created) })
    t.strictSame(codes, ['SECURE_API_SECRET_UNAVAILABLE'])
    t.match(problems.list()[0]?.why, /`created` of the provider is in the future/)
  }
  t.match((await keep({ a: made('2026-01-01T12:00:00Z') })).secrets.status()[0], { dueInDays: 90 }, 'clocks differ')
  t.strictSame((await keep({ a: { ...made('2026-01-01'), rotateEvery: '104000000 days' } })).codes, ['SECURE_API_OPTION_RANGE'])
  const file = join(t.testdir({ key: CANARY }), 'key')
  utimesSync(file, new Date('2099-01-01'), new Date('2099-01-01'))
  const { secrets } = await keep({ a: { file, rotateEvery: '90 days' } })
  t.equal(Object.hasOwn(secrets.status()[0] ?? {}, 'created'), false, 'a file of the future has no known age')
})

t.test('a byte order mark is no part of a secret', async t => {
  const file = join(t.testdir({ key: `\uFEFF${CANARY}\r\n` }), 'key')
  t.equal(textOf((await keep({ a: { file } })).own.a), CANARY)
})

t.test('the value of a variable where its name belongs is not shown', async t => {
  process.env['SECURE_API_TEST_NAME'] = `${CANARY}`.replaceAll('-', '_')
  const { SECURE_API_TEST_NAME: value = '' } = process.env
  t.teardown(() => { delete process.env['SECURE_API_TEST_NAME'] })
  for (const a of [{ env: value }, { file: value }, { file: `-----BEGIN X-----\n${value}` }]) {
    const { codes, problems, secrets } = await keep({ a }, 'production')
    t.strictSame(codes, ['SECURE_API_SECRET_UNAVAILABLE'])
    t.notMatch(JSON.stringify([problems.list(), secrets.status()]), value)
  }
  t.throws(() => readNow({ env: value }), { message: /its name is the value of a variable/ }, 'as for tls.passphrase')
  const problems = new Problems()
  check(SecretPlaceSchema, { env: `0-${CANARY}` }, 'auth.a', problems)
  t.match(problems.list()[0]?.path, 'auth.a.env')
  t.notMatch(JSON.stringify(problems.list()), CANARY, 'what is no name at all neither')
})

t.test('what process.env inherits is no variable', async t => {
  const polluted = Object.prototype as { SECURE_API_TEST_POLLUTED?: string }
  polluted.SECURE_API_TEST_POLLUTED = 'known to somebody'
  t.teardown(() => { delete polluted.SECURE_API_TEST_POLLUTED })
  const { problems } = await keep({ a: { env: 'SECURE_API_TEST_POLLUTED' } })
  t.match(problems.list()[0]?.why, /the variable SECURE_API_TEST_POLLUTED is not set/)
})

t.test('half a secret of a file that is written in place is not taken', async t => {
  const file = join(t.testdir({ key: 'first' }), 'key')
  const { clock, secrets, own, events } = await keep({ a: { file, refresh: '1 minute' } })
  const { changes } = served(own.a)
  secrets.start()
  for (const part of ['second', 'second-and', 'second-and-more']) {
    writeFileSync(file, part)
    await clock.advance(part === 'second' ? 60_000 : 2000)
  }
  t.strictSame([changes, events], [[], []], 'it has changed at each look')
  await clock.advance(2000)
  t.strictSame(changes, [['second-and-more', 'first']])
  writeFileSync(file, 'abc')
  await clock.advance(62_000)
  t.match(secrets.status()[0], { state: 'failing', why: 'it is too short' })
  writeFileSync(file, 'second-and-more')
  await clock.advance(62_000)
  t.match(secrets.status()[0], { state: 'good' })
  t.equal(changes.length, 2, 'and the end of the overlap')
})

t.test('a value that another one follows within its lead never signs, and is accepted: other instances may have missed it', async t => {
  const follows = async (...next: string[]) => {
    const provider = vault('first')
    const { clock, secrets, own } = await keep({ a: { provider, name: 'x', refresh: '10 seconds' } })
    const { changes } = served(own.a, { leads: true, overlap: 60_000 })
    secrets.start()
    for (const value of next) {
      provider.say(value)
      await clock.advance(10_000)
    }
    const soon = [...changes]
    await clock.advance(13_000)
    return { soon, later: changes.at(-1) }
  }
  t.strictSame(await follows('second', 'third'), {
    soon: [['first', 'second'], ['first', 'third', 'second']], later: ['third', 'first', 'second']
  })
  t.strictSame((await follows('second', 'first')).soon, [['first', 'second'], ['first', 'second']], 'taken back')
  t.strictSame((await follows('second', 'first')).later, ['first', 'second'])
})

t.test('a clock that is set back makes no old value good for longer', async t => {
  const clock = manual()
  let setBack = 0
  const secrets = new Secrets({ ...clock, now: () => clock.time - setBack, tell: () => {}, warn: () => {}, random: () => 0.5 })
  const provider = vault('first')
  const own = { a: { provider, name: 'x', refresh: '1 hour' } as unknown }
  await secrets.read(schema, own, 'auth', new Problems(), 'development')
  const { changes } = served(own.a)
  secrets.start()
  provider.say('second')
  await (own.a as KeptSecret).look()
  setBack = DAY
  await clock.advance(10_000)
  t.strictSame(changes, [['second', 'first'], ['second']])
})

t.test('20: what a polluted prototype says is no place of a secret that is read at once', async t => {
  const file = join(t.testdir({ secret: 'of the file' }), 'secret')
  for (const name of ['env', 'file']) {
    Reflect.set(Object.prototype, name, 'HOME')
    t.teardown(() => { Reflect.deleteProperty(Object.prototype, name) })
    t.equal(readNow({ file }), 'of the file', name)
    Reflect.deleteProperty(Object.prototype, name)
  }
})
