import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { createApiKey } from '../lib/api-keys/index.ts'
import { advisoriesOf, licenceProblems, lockfileProblems } from '../scripts/scan/packages.ts'
import { isRandom, mask, secretsIn, withoutAllowed } from '../scripts/scan/secrets.ts'
import { reportOf, secretFinding } from '../scripts/scan.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const letters = (length: number) => randomBytes(length * 3).toString('base64').replace(/[^0-9A-Za-z]/g, '').slice(0, length)
const upper = (length: number) => randomBytes(length).toString('hex').toUpperCase().slice(0, length)
const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** Put together here, so that the scan of this file finds none. */
const planted: ReadonlyArray<readonly [rule: string, value: string, around?: (value: string) => string]> = [
  ['api-key', createApiKey('shop').key],
  ['aws-key', `AKIA${upper(16)}`],
  ['github', `ghp_${letters(36)}`],
  ['gitlab', `glpat-${letters(20)}`],
  ['google', `AIza${letters(35)}`],
  ['jwt', `${part({ alg: 'ES256', kid: '1' })}.${part({ sub: 'user-1', exp: 1 })}.${letters(86)}`],
  ['npm', `npm_${letters(36)}`],
  ['slack', ['xoxb', '123456789012', '1234567890123', letters(24)].join('-')],
  ['stripe', `sk_live_${letters(24)}`],
  ['basicauth', `https://admin:${letters(20)}@db.example.com`],
  ['url', `rediss://default:7${letters(23)}@redis.example.com:6379`],
  ['url', `postgres://orders:7${letters(15)}@db/orders`],
  ['privatekey', ['BEGIN', 'END'].map(edge => `-----${edge} PRIVATE KEY-----`).join(`\n${letters(64)}\n${letters(64)}\n${letters(48)}\n`)],
  ['assignment', randomBytes(32).toString('base64url'), value => `const jwtSecret = '${value}'`],
  ['assignment', randomBytes(32).toString('hex'), value => `SESSION_SECRET=${value}`]
]

function repository (t: Test, files: Record<string, string | Buffer>): string {
  const folder = t.testdir()
  execFileSync('git', ['init', '--quiet'], { cwd: folder })
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), content)
  }
  return folder
}

t.test('19: every planted secret is found and none is printed', async t => {
  const folder = repository(t, Object.fromEntries(planted.map(([, value, around = String], at) =>
    [`deep/${at}.txt`, `first line\n${around(value)}\n`])))
  const finding = await secretFinding(folder)
  const output = reportOf([finding])
  for (const [at, [rule, value]] of planted.entries()) {
    t.ok(finding.problems.some(problem => problem.startsWith(`deep/${at}.txt:2: ${rule}: `)), `${rule} ${at}`)
    t.notOk(output.includes(value.slice(0, 12)) || output.includes(value.slice(-8)), `${rule} ${at} is masked`)
  }
  t.equal(finding.problems.length, planted.length, 'each once')
})

t.test('19: what is no secret passes', async t => {
  const { key } = createApiKey('shop')
  const folder = repository(t, {
    '.gitignore': 'ignored.txt\n',
    'ignored.txt': key,
    'picture.png': Buffer.concat([Buffer.from([0x89, 0]), Buffer.from(key)]),
    'mistyped.txt': key.slice(0, -1) + (key.endsWith('0') ? '1' : '0'),
    'code.ts': ['const token = readFileSync(tokenFile2)', 'const password = "correct horse battery staple"',
      'const secret = process.env.SECRET_2'].join('\n')
  })
  t.strictSame((await secretFinding(folder)).problems, [])
})

t.test('19: a comment lets no secret pass; a line of the list lets one pass, with its reason', async t => {
  const key = `AKIA${upper(16)}`
  const token = `ghp_${letters(36)}`
  const folder = repository(t, { 'a.ts': `// secretlint-disable\nconst a = '${key}'\nconst b = '${token}'\n` })
  const found = await secretsIn(folder)
  t.strictSame(found.map(({ rule }) => rule).sort(), ['aws-key', 'github'])
  const line = `a.ts aws-key ${mask(key)}`
  const left = found.filter(({ rule }) => rule === 'github')
  t.strictSame(withoutAllowed(found, `# why\n\n${line} made up\n`), { secrets: left, mistakes: [] })
  t.strictSame(withoutAllowed(found, line).mistakes, ['line 1: no reason'])
  t.strictSame(withoutAllowed(found, `${line} one\n${line} two`).mistakes, ['line 2: lets nothing pass'])
})

t.test('19: a mask hides what is short, and says four characters of what is long', async t => {
  t.equal(mask('abcdefghijk'), '…(11)')
  t.equal(mask('abcdefghijkl'), 'abcd…(12)')
  t.notOk(isRandom('resource-server-metadata-1'))
})

t.test('19: lockfiles: every package is verified and comes from the public registry', async t => {
  const good = { version: '1.0.0', integrity: 'sha512-AAAA' }
  const file = (entry: object, lockfileVersion = 3) => ({ lockfileVersion, packages: { '': {}, 'node_modules/a': { ...good, ...entry } } })
  t.strictSame(lockfileProblems(file({ resolved: 'https://registry.npmjs.org/a/-/a-1.0.0.tgz' })), [])
  for (const [resolved, host] of [['https://packages.example.com/a.tgz', 'packages.example.com'],
    ['git+ssh://git@github.com/a/a.git#1', 'github.com']]) {
    t.strictSame(lockfileProblems(file({ resolved })), [`node_modules/a: comes from ${host}`])
  }
  t.strictSame(lockfileProblems(file({ integrity: 'sha1-AAAA' })), ['node_modules/a: no SHA-512'])
  t.equal(lockfileProblems(file({}, 1)).length, 1)
})

t.test('19: licences: what nobody has looked at is told', async t => {
  const problems = (license?: string, more = {}) =>
    licenceProblems({ lockfileVersion: 3, packages: { 'node_modules/a': license === undefined ? more : { license, ...more } } })
  for (const license of ['MIT', '(GPL-3.0-only OR MIT)']) t.strictSame(problems(license), [], license)
  for (const license of ['GPL-3.0-only', '(MIT AND GPL-3.0-only)', 'SEE LICENSE IN FILE']) t.equal(problems(license).length, 1, license)
  t.strictSame(problems(undefined), ['node_modules/a: none'])
  t.strictSame(problems('GPL-3.0-only', { dev: true }), [])
})

t.test('19: advisories: grave ones are told, and so is a registry that does not answer', async t => {
  const report = (severity: string) => JSON.stringify({ vulnerabilities: { a: { severity, range: '<1.0.1' } } })
  t.strictSame(advisoriesOf(report('critical')), ['a <1.0.1: critical'])
  t.strictSame(advisoriesOf(report('moderate')), [])
  t.equal(advisoriesOf('{"message":"405 Method Not Allowed"}'), '405 Method Not Allowed')
  t.type(advisoriesOf(''), 'string')
  t.equal(reportOf([{ step: 'advisories', problems: [], unchecked: '405' }]), 'advisories: NOT CHECKED: 405')
})

t.test('19: npm run scan passes here, and CI asks for a complete one', async t => {
  const command = ['--import', './scripts/test-loader.mjs', 'scripts/scan.ts']
  const { stdout, status } = spawnSync(process.execPath, command, { cwd: root, encoding: 'utf8' })
  t.equal(status, 0, stdout)
  t.match(readFileSync(join(root, '.github/workflows/security.yml'), 'utf8'), 'npm run scan -- --complete')
})
