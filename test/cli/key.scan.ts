import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import { secureApiCommand } from '../../cli/secure-api.ts'
import type { Terminal } from '../../cli/command.ts'
import { editKeyFile } from '../../cli/key/file.ts'
import { standingOf, stateText } from '../../cli/key/show.ts'
import { apiKeyId, hashOf, type ApiKeyRecord } from '../../lib/api-keys/index.ts'
import secureApi from '../../plugins/index.ts'
import { codeOf, startFastify } from '../helpers/server.ts'
import { compiledCommand } from './compiled.ts'
import { fakeTerminal } from './terminal.ts'

async function run (cwd: string, args: readonly string[], given: Partial<Terminal> = {}) {
  const { terminal, stdout, stderr } = fakeTerminal({ cwd, ...given })
  const exit = await secureApiCommand(['key', ...args], terminal)
  return { exit, stdout: stdout(), stderr: stderr() }
}

/** The key, as a script gets it. */
async function make (cwd: string, ...args: string[]) {
  const { exit, stdout, stderr } = await run(cwd, [...args, ...inFile])
  if (exit !== 0) throw new Error(stderr)
  const key = stdout.trimEnd()
  return { key, id: apiKeyId(key, 'shop') ?? '', stderr }
}

const file = ['--file', 'keys.json']
const inFile = ['--prefix', 'shop', ...file]

const check = async (cwd: string, key: string, ...args: string[]) =>
  await run(cwd, ['check', ...args], { stdin: Readable.from([`${key}\n`]) })

function recordsOf (cwd: string): ApiKeyRecord[] {
  return JSON.parse(readFileSync(join(cwd, 'keys.json'), 'utf8')).keys
}

function store (cwd: string, keys: readonly ApiKeyRecord[]): void {
  writeFileSync(join(cwd, 'keys.json'), JSON.stringify({ keys }), { mode: 0o600 })
}

const ahead = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString()
/** Whether a time is so many days ahead, give or take an hour: a day may end while the test runs. */
const isAhead = (time: string | undefined, days: number) => Math.abs(Date.parse(time ?? '') - Date.parse(ahead(days))) < 3_600_000

/** An API that takes the keys of the folder. */
async function api (t: Test, cwd: string) {
  const app = startFastify(t)
  await app.register(secureApi, {
    auth: { apiKeys: { prefix: 'shop', file: join(cwd, 'keys.json') } }, rateLimit: false, environment: 'development'
  })
  app.get('/orders', { config: { scope: 'orders.read' } }, async ({ auth: { kind, subject, roles } }) => ({ kind, subject, roles }))
  return async (key: string) => {
    await app.apiKeys.refresh()
    const response = await app.inject({ url: '/orders', headers: { 'x-api-key': key } })
    return response.statusCode === 200 ? response.json() : codeOf(response)
  }
}

t.test('create: standard output is the key and nothing else, the file has its hash, and an API takes it', async t => {
  const cwd = t.testdir({})
  const { exit, stdout, stderr } = await run(cwd, ['create', '--prefix', 'shop', '--scope', 'orders.read', '-s', 'a,b', '-r', 'clerk',
    '--owner', 'acme', '--name', 'nightly export', '--expires', '90d', '--allow', '127.0.0.0/8', '--file', 'keys.json'])
  t.equal(exit, 0, stderr)
  t.match(stdout, /^shop_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}\n$/)
  const key = stdout.trimEnd()
  const id = apiKeyId(key, 'shop') ?? ''
  const text = readFileSync(join(cwd, 'keys.json'), 'utf8')
  for (const shown of [text, stderr]) t.notOk(shown.includes(key.split('_')[2] ?? key), 'no secret')
  const [record] = recordsOf(cwd)
  t.match(record, {
    id,
    owner: 'acme',
    name: 'nightly export',
    scopes: ['orders.read', 'a', 'b'],
    roles: ['clerk'],
    allowedAddresses: ['127.0.0.0/8'],
    secrets: [{ hash: hashOf(key) }]
  })
  t.ok(isAhead(record?.expires, 90), String(record?.expires))
  t.equal(statSync(join(cwd, 'keys.json')).mode & 0o777, 0o600)
  t.strictSame(readdirSync(cwd), ['keys.json'], 'no lock and no half of a file stay')
  t.match(await (await api(t, cwd))(key), { kind: 'api-key', subject: 'acme', roles: ['clerk'] })
})

t.test('create without a file: the record to paste; with --json both for a script', async t => {
  const cwd = t.testdir({})
  const { stdout, stderr } = await run(cwd, ['create', '--prefix', 'shop'])
  const record = JSON.parse(stderr.split('\n').find(line => line.startsWith('{')) ?? '')
  t.strictSame(record, { id: apiKeyId(stdout.trim()), secrets: [{ hash: hashOf(stdout.trim()) }] })
  t.match(stderr, 'no scope, no role')
  const both = JSON.parse((await run(cwd, ['create', '--prefix', 'shop', '--json', '--expires', '2099-01-31'])).stdout)
  t.match(both, { key: /^shop_/, record: { expires: '2099-01-31T00:00:00.000Z', secrets: [{ hash: hashOf(both.key) }] } })
  t.strictSame(readdirSync(cwd), [])
})

t.test('rotate: both secrets work for a while; then, or with --overlap 0, the new one alone', async t => {
  const cwd = t.testdir({})
  const first = await make(cwd, 'create', '--scope', 'orders.read')
  const call = await api(t, cwd)
  const second = await make(cwd, 'rotate', first.id)
  t.equal(second.id, first.id)
  t.match(second.stderr, /rotating, old secret 7 days left/)
  for (const { key } of [first, second]) t.match(await call(key), { kind: 'api-key', subject: first.id })
  t.match(recordsOf(cwd), [{ secrets: [{ hash: hashOf(second.key) }, { hash: hashOf(first.key) }] }])
  t.ok(isAhead(recordsOf(cwd)[0]?.secrets[1]?.expires, 7))
  t.match(await check(cwd, first.key, '--file', 'keys.json'), { exit: 0, stdout: /secret: an old one, until / })
  t.match(await run(cwd, ['rotate', first.id, ...inFile]), { exit: 2, stdout: '', stderr: /is being rotated/ })
  const third = await make(cwd, 'rotate', first.id.slice(0, 8), '--overlap', '0', '--expires', '1d')
  t.match(await call(third.key), { kind: 'api-key' })
  for (const { key } of [first, second]) t.equal(await call(key), 'SECURE_API_API_KEY_UNKNOWN')
  t.ok(isAhead(recordsOf(cwd)[0]?.expires, 1))
})

t.test('rotate: an old secret that has ended makes room; one that ends earlier keeps its end', async t => {
  const cwd = t.testdir({})
  const { id } = await make(cwd, 'create')
  const [record] = recordsOf(cwd)
  const [secret] = record?.secrets ?? []
  if (record === undefined || secret === undefined) throw new Error('no record')
  const sooner = ahead(1)
  store(cwd, [{ ...record, secrets: [{ ...secret, expires: sooner }, { hash: `sha256:${'0'.repeat(64)}`, expires: ahead(-1) }] }])
  const { key } = await make(cwd, 'rotate', id)
  t.strictSame(recordsOf(cwd)[0]?.secrets, [{ hash: hashOf(key) }, { hash: secret.hash, expires: sooner }])
})

t.test('revoke: refused from then on, and it cannot be rotated back into life', async t => {
  const cwd = t.testdir({})
  const { key, id } = await make(cwd, 'create', '--scope', 'orders.read')
  const call = await api(t, cwd)
  t.match(await call(key), { kind: 'api-key' })
  t.match(await run(cwd, ['revoke', id, '--file', 'keys.json']), { exit: 0, stdout: '', stderr: /revoked/ })
  t.equal(await call(key), 'SECURE_API_API_KEY_REVOKED')
  const before = readFileSync(join(cwd, 'keys.json'), 'utf8')
  t.match(await run(cwd, ['revoke', id, '--file', 'keys.json']), { exit: 0, stderr: /was revoked already/ })
  t.equal(readFileSync(join(cwd, 'keys.json'), 'utf8'), before)
  t.match(await run(cwd, ['rotate', id, ...inFile]), { exit: 2, stdout: '', stderr: /was revoked/ })
  t.match(await check(cwd, key, '--file', 'keys.json'), { exit: 1, stdout: /revoked\n.*\nrefused\n$/s })
})

t.test('list: states, as wide as the terminal, never a hash', async t => {
  const cwd = t.testdir({})
  t.match(await run(cwd, ['list', '--file', 'keys.json']), { exit: 2, stderr: /there is no file .*key create/ })
  store(cwd, [])
  t.match(await run(cwd, ['list', '--file', 'keys.json']), { exit: 0, stdout: '', stderr: /there are no keys/ })
  await make(cwd, 'create', '--owner', 'acme', '--name', 'nightly\u001b[2J', '--scope', 'orders.read', '--role', 'clerk')
  const { id } = await make(cwd, 'create', '--expires', '12h')
  const table = (await run(cwd, ['list', '--file', 'keys.json'])).stdout
  const parts = ['active', `${id}  active, 11 hours left`, 'acme', 'orders.read [clerk]', 'nightly\\u{1b}[2J']
  for (const part of parts) t.ok(table.includes(part), part)
  const narrow = await run(cwd, ['list', '--file', 'keys.json'], { columns: 40 })
  t.ok(narrow.stdout.split('\n').every(line => line.length <= 40))
  const json = (await run(cwd, ['list', '--file', 'keys.json', '--json'])).stdout
  t.match(JSON.parse(json), [{ owner: 'acme', state: 'active', secrets: [{}] }, { id, state: 'active', until: /T/ }])
  for (const shown of [table, json]) t.notMatch(shown, 'sha256')
})

t.test('states of a key', async t => {
  const now = Date.parse('2026-06-01T00:00:00Z')
  const day = (date: number) => `2026-06-${String(date).padStart(2, '0')}T00:00:00Z`
  const record = (given: Partial<ApiKeyRecord>): ApiKeyRecord => ({ id: 'A'.repeat(12), secrets: [{ hash: 'x' }], ...given })
  const cases: ReadonlyArray<readonly [Partial<ApiKeyRecord>, string]> = [
    [{}, 'active'],
    [{ expires: day(3) }, 'active, 2 days left'],
    [{ expires: '2026-06-01T00:00:01Z' }, 'active, 1 second left'],
    [{ expires: day(1) }, 'expired'],
    [{ expires: day(1), revoked: day(1) }, 'revoked'],
    [{ secrets: [{ hash: 'x' }, { hash: 'y', expires: day(2) }] }, 'rotating, old secret 24 hours left'],
    [{ secrets: [{ hash: 'x' }, { hash: 'y', expires: day(1) }] }, 'active'],
    [{ secrets: [{ hash: 'x', expires: day(1) }] }, 'expired']
  ]
  for (const [given, text] of cases) t.equal(stateText(record(given), now), text)
  t.strictSame(standingOf(record({ revoked: day(2) }), now), { state: 'revoked', until: undefined })
})

t.test('check: form, prefix, checksum and record; the key itself is shown nowhere', async t => {
  const cwd = t.testdir({})
  const { key, id } = await make(cwd, 'create')
  const other = await make(cwd, 'create')
  const secretOf = (text: string) => text.split('_')[2] ?? text
  const mistyped = `${key.slice(0, -1)}${key.endsWith('0') ? '1' : '0'}`
  const replaced = (await run(cwd, ['create', '--prefix', 'shop'])).stdout.trimEnd()
  const cases: ReadonlyArray<readonly [string, string[], number, RegExp]> = [
    [key, [], 0, /^form: right\nprefix: shop\nchecksum: right\nid: \w{12}\ngood\n$/],
    [key, ['--prefix', 'shop', '--file', 'keys.json'], 0, /secret: the current one\ngood\n$/],
    [key, ['--prefix', 'bank'], 1, /expects the prefix bank\nrefused\n$/],
    [mistyped, [], 1, /checksum: wrong/],
    [key.slice(0, -1), [], 1, /form: this is not an API key/],
    ['Bearer eyJ', [], 1, /not an API key/],
    [replaced, ['--file', 'keys.json'], 1, /none of this id/]
  ]
  for (const [text, args, exit, said] of cases) {
    const found = await check(cwd, text, ...args)
    t.match(found, { exit, stdout: said }, String(said))
    t.notOk(`${found.stdout}${found.stderr}`.includes(secretOf(text)), 'not shown')
  }
  const [one, two] = recordsOf(cwd)
  if (one === undefined || two === undefined) throw new Error('no records')
  store(cwd, [{ ...one, secrets: two.secrets }])
  t.match(await check(cwd, key, '--file', 'keys.json'), { exit: 1, stdout: /secret: none of this record/ })
  store(cwd, [{ ...one, secrets: [...two.secrets, { hash: hashOf(key), expires: ahead(-1) }] }])
  t.match(await check(cwd, key, '--file', 'keys.json'), { exit: 1, stdout: /secret: ended / })
  t.match(await check(cwd, ' '), { exit: 2, stderr: /standard input is empty: pipe a key/ })
  t.not(id, other.id)
})

t.test('a key as an argument is refused and not repeated', async t => {
  const cwd = t.testdir({})
  const { key, id } = await make(cwd, 'create')
  const mistyped = `${key}x`
  const lines = [['check', key], ['check', mistyped], ['revoke', key, ...file], ['revoke', mistyped, ...file], ['rotate', key, ...inFile],
    [key], [mistyped], ['list', key], ['create', mistyped],
    ['create', '--prefix', key], ['list', '--file', key], ['create', '--prefix', 'shop', '--scope', key], ['check', '--prefix', mistyped]]
  for (const args of lines) {
    const { exit, stdout, stderr } = await run(cwd, args)
    t.strictSame([exit, stdout], [2, ''])
    t.notOk(stderr.includes(key.split('_')[2] ?? key))
  }
  t.match((await run(cwd, ['revoke', key, '--file', 'keys.json'])).stderr, new RegExp(`Its id is ${id}`))
  t.notOk('revoked' in (recordsOf(cwd)[0] ?? {}))
})

t.test('mistakes in the arguments leave no file and no key', async t => {
  const cwd = t.testdir({})
  const wrong = [
    ['--prefix', 'Shop'], ['--prefix', 's'], [], ['--scope', 'a"b'], ['--role', ' '], ['--owner', ''], ['--name', ''],
    ['--expires', '90'], ['--expires', '2020-01-01'], ['--expires', '2099-13-01'],
    ['--expires', '2099-01-01T00:00'], ['--expires', '40000d'], ['--expires', '0d'],
    ['--allow', 'example.com'], ['--allow', '10.0.0.0/33'], ['--allow', ''], ['--overlap', '7d'], ['--nonsense'], ['--file', '']
  ]
  for (const args of wrong) {
    const prefix = args.includes('--prefix') || args.length === 0 ? [] : ['--prefix', 'shop']
    const given = ['create', ...prefix, ...file, ...args]
    t.match(await run(cwd, given), { exit: 2, stdout: '' }, args.join(' '))
  }
  t.strictSame(readdirSync(cwd), [])
  const { id } = await make(cwd, 'create')
  const before = readFileSync(join(cwd, 'keys.json'), 'utf8')
  const others = [['rotate'], ['rotate', id], ['rotate', id, ...file], ['rotate', id, ...inFile, '--overlap', '7'],
    ['rotate', id, ...inFile, '--overlap', '400d'], ['rotate', 'nobody', ...inFile], ['rotate', '', ...inFile], ['revoke', id],
    ['revoke', id, id, ...file], ['list'], []]
  for (const args of others) {
    t.match(await run(cwd, args), { exit: 2, stdout: '' }, args.join(' '))
  }
  t.equal(readFileSync(join(cwd, 'keys.json'), 'utf8'), before)
  t.match(await run(cwd, ['create', '--prefix', 'shop', '--file', 'none/keys.json']), { exit: 2, stdout: '', stderr: /there is no folder/ })
  writeFileSync(join(cwd, 'broken.json'), '{"keys":[{"secret":"canary-1"}]}')
  const broken = await run(cwd, ['create', '--prefix', 'shop', '--file', 'broken.json'])
  t.match(broken, { exit: 1, stdout: '', stderr: /broken\.json/ })
  t.notMatch(broken.stderr, 'canary-1')
  t.notOk(existsSync(join(cwd, 'broken.json.lock')))
})

t.test('who could read the file can read it afterwards, others cannot write it, and a link stays a link', async t => {
  const cwd = t.testdir({})
  mkdirSync(join(cwd, 'real'))
  store(join(cwd, 'real'), [])
  chmodSync(join(cwd, 'real/keys.json'), 0o660)
  // As root, for a server that runs as somebody else.
  const owner = process.getuid?.() === 0 ? 65_534 : statSync(cwd).uid
  chownSync(join(cwd, 'real/keys.json'), owner, statSync(cwd).gid)
  symlinkSync('real/keys.json', join(cwd, 'keys.json'))
  await make(cwd, 'create')
  t.match(statSync(join(cwd, 'real/keys.json')), { uid: owner, mode: 0o100640 })
  t.equal(recordsOf(join(cwd, 'real')).length, 1)
  t.strictSame(readdirSync(join(cwd, 'real')), ['keys.json'])
})

t.test('real commands at the same time lose no record; a lock that stays is named', async t => {
  const cwd = t.testdir({})
  const command = compiledCommand(t)
  // One that waits for another longer than five seconds gives up and says so, on a machine that stalls; then it is called again.
  const create = async () => {
    for (;;) {
      const ended = await command.run(['key', 'create', ...inFile], cwd)
      if (!ended.stderr.includes('another command is changing')) return ended
    }
  }
  const made = await Promise.all(Array.from({ length: 4 }, create))
  t.strictSame(made.map(({ code }) => code), [0, 0, 0, 0])
  t.strictSame(recordsOf(cwd).map(({ id }) => id).sort(), made.map(({ stdout }) => apiKeyId(stdout.trim(), 'shop') ?? '').sort())
  const path = join(cwd, 'keys.json')
  await Promise.all(Array.from({ length: 20 }, (_, at) => editKeyFile(path, keys =>
    [[...keys, { id: String(at).padStart(12, '0'), secrets: [{ hash: `sha256:${'0'.repeat(64)}` }] }], undefined])))
  t.equal(recordsOf(cwd).length, 24)
  writeFileSync(`${path}.lock`, '')
  const waiting = editKeyFile(path, keys => [keys, undefined], { tries: 1 })
  await t.rejects(waiting, /another command is changing .*keys\.json\. If none is running, remove .*\.lock/)
})
