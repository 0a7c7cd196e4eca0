import { existsSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { secureApiCommand } from '../../cli/secure-api.ts'
import { openAuditFile } from '../../lib/audit/index.ts'
import { fakeTerminal } from './terminal.ts'

async function run (cwd: string, ...args: string[]) {
  const { terminal, stdout, stderr } = fakeTerminal({ cwd })
  const exit = await secureApiCommand(['audit', ...args], terminal)
  return { exit, stdout: stdout(), stderr: stderr() }
}

/** A trail in two files, made with a key of the command. */
async function trail (t: Test) {
  const cwd = t.testdir({})
  const made = await run(cwd, 'key', '--file', 'audit-key.pem')
  t.equal(made.exit, 0, made.stderr)
  let now = Date.UTC(2026, 0, 1)
  const path = join(cwd, 'audit.log')
  const file = await openAuditFile(path, { chain: { key: readFileSync(join(cwd, 'audit-key.pem'), 'utf8') }, now: () => now })
  await Promise.all([1, 2, 3].map(n => file.write({ n })))
  renameSync(path, `${path}.1`)
  now += 1000
  await Promise.all([4, 5, 6].map(n => file.write({ n })))
  await file.close()
  return { cwd, path, key: ['--key', 'audit-key.pem.pub'], status: file.status() }
}

t.test('audit key: two files, the private one for its owner only, never over another', async t => {
  const cwd = t.testdir({})
  const { exit, stdout } = await run(cwd, 'key', '--file', 'a.pem', '--json')
  t.equal(exit, 0)
  t.match(JSON.parse(stdout), { kid: /^[\w-]{43}$/, privateKey: join(cwd, 'a.pem'), publicKey: join(cwd, 'a.pem.pub') })
  if (process.platform !== 'win32') t.equal(statSync(join(cwd, 'a.pem')).mode & 0o777, 0o600)
  t.match(readFileSync(join(cwd, 'a.pem.pub'), 'utf8'), 'PUBLIC KEY')
  const text = readFileSync(join(cwd, 'a.pem'), 'utf8')
  t.match(await run(cwd, 'key', '--file', 'a.pem'), { exit: 2, stderr: /exists/ })
  t.equal(readFileSync(join(cwd, 'a.pem'), 'utf8'), text)
  writeFileSync(join(cwd, 'b.pem.pub'), 'x')
  t.equal((await run(cwd, 'key', '--file', 'b.pem')).exit, 2)
  t.notOk(existsSync(join(cwd, 'b.pem')))
  for (const args of [[], ['--file', ''], ['x', '--file', 'c'], ['--file', 'no/folder/c']]) {
    t.equal((await run(cwd, 'key', ...args)).exit, 2)
  }
})

t.test('audit verify: an intact trail, files in any order, packed ones too', async t => {
  const { cwd, path, key, status } = await trail(t)
  const { exit, stdout } = await run(cwd, 'verify', 'audit.log', 'audit.log.1', ...key)
  t.strictSame([exit, stdout], [0,
    'intact: 10 lines, up to link 5, 4 signatures checked; last good checkpoint link 5 of 2026-01-01T00:00:01.000Z, audit.log:5\n'])
  writeFileSync(`${path}.1.gz`, gzipSync(readFileSync(`${path}.1`)))
  t.equal((await run(cwd, 'verify', 'audit.log.1.gz', 'audit.log', ...key)).exit, 0)
  const json = JSON.parse((await run(cwd, 'verify', 'audit.log.1', 'audit.log', ...key, '--json')).stdout)
  t.match(json, { good: true, signed: true, files: ['audit.log.1', 'audit.log'], findings: [], lines: 10, last: { seq: 5 } })
  const anchor = `${status.lastCheckpoint?.seq}:${status.lastCheckpoint?.hash}`
  t.equal((await run(cwd, 'verify', 'audit.log', ...key, '--anchor', anchor)).exit, 0)
  t.match(await run(cwd, 'verify', 'audit.log.1', ...key, '--anchor', anchor), { exit: 1, stdout: /truncated the chain had a link 5/ })
  t.match(await run(cwd, 'verify', 'audit.log', 'audit.log.1'), { exit: 0, stdout: /No --key/ })
})

t.test('audit verify: what is wrong and where, for people and as JSON', async t => {
  const { cwd, path, key } = await trail(t)
  writeFileSync(path, readFileSync(path, 'utf8').replace('"n":5', '"n":7'))
  const { exit, stdout } = await run(cwd, 'verify', 'audit.log.1', 'audit.log', ...key)
  t.equal(exit, 1)
  t.match(stdout, 'audit.log:2 changed link 4 was changed: one or more of its 3 lines\n' +
    '  last good checkpoint: link 3 of 2026-01-01T00:00:01.000Z, audit.log:1\n')
  t.match(stdout, /\n1 finding: 10 lines/)
  const { findings: [finding], good } = JSON.parse((await run(cwd, 'verify', 'audit.log.1', 'audit.log', ...key, '--json')).stdout)
  t.equal(good, false)
  t.match(finding, { kind: 'changed', severity: 'error', file: 'audit.log', line: 2, seq: [4, 4], checkpoint: { seq: 3 } })
})

t.test('audit verify: a file that is open', async t => {
  const { cwd, path, key } = await trail(t)
  writeFileSync(path, readFileSync(path, 'utf8').split('\n').slice(0, 3).join('\n') + '\n')
  t.match(await run(cwd, 'verify', 'audit.log', ...key),
    { exit: 1, stdout: /ends with 16 bytes that no link binds.*truncated after link 3 there is no signed end/s })
  t.match(await run(cwd, 'verify', 'audit.log', ...key, '--running'), { exit: 0, stdout: /\(warning\)/ })
})

t.test('19: audit verify: a file whose older ones are gone is not called whole without a word', async t => {
  const { cwd, key } = await trail(t)
  t.match(await run(cwd, 'verify', 'audit.log', ...key), { exit: 0, stdout: /^Link 3 is the first: links 0 to 2 are in older files/ })
  t.match(JSON.parse((await run(cwd, 'verify', 'audit.log', ...key, '--json')).stdout), { good: true, first: 3, last: { seq: 5 } })
  t.notMatch((await run(cwd, 'verify', 'audit.log.1', 'audit.log', ...key)).stdout, 'is the first')
})

t.test('audit verify: another key, another file, and what cannot be read', async t => {
  const { cwd, key } = await trail(t)
  await run(cwd, 'key', '--file', 'other.pem')
  t.match(await run(cwd, 'verify', 'audit.log', '--key', 'other.pem.pub'), { exit: 1, stdout: /wrong-key/ })
  t.equal((await run(cwd, 'verify', 'audit.log', '--key', 'other.pem.pub', ...key)).exit, 0)
  t.match(await run(cwd, 'verify', 'audit-key.pem.pub', ...key), { exit: 1, stdout: /:1 not-a-chain/ })
  writeFileSync(join(cwd, 'x.gz'), 'no gzip')
  for (const name of ['missing', '.', 'x.gz', 'missing.gz']) {
    t.match(await run(cwd, 'verify', name, ...key), { exit: 1, stdout: '', stderr: /cannot be read/ }, name)
  }
  t.match(await run(cwd, 'verify', 'audit.log', '--key', 'missing'), { exit: 1, stderr: /cannot be read/ })
  t.match(await run(cwd, 'verify', 'audit.log', '--key', 'audit.log'), { exit: 2, stderr: /not the PEM/ })
  t.match(await run(cwd, 'verify', 'audit.log', '--anchor', '1:x'), { exit: 2, stderr: /anchor/ })
  t.match(await run(cwd, 'verify'), { exit: 2, stderr: /name the files/ })
  t.match(await run(cwd, 'verfy'), { exit: 2, stderr: /did you mean verify/ })
})
