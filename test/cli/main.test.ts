import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { secureApiCommand } from '../../cli/secure-api.ts'
import { flushed, painter, terminalOf } from '../../cli/terminal.ts'
import { fakeTerminal } from './terminal.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }

const names = ['generate', 'routes', 'token', 'secrets', 'key', 'audit', 'doctor', 'completion']

async function call (args: readonly string[], given: Parameters<typeof fakeTerminal>[0] = {}) {
  const { terminal, stdout, stderr } = fakeTerminal(given)
  const code = await secureApiCommand(args, terminal)
  return { code, stdout: stdout(), stderr: stderr() }
}

t.test('help names every command, on request and when nothing is asked', async t => {
  const asked = await call(['--help'])
  t.equal(asked.code, 0)
  for (const name of names) t.match(asked.stdout, new RegExp(`^ {2}${name} +\\S`, 'm'))
  const silent = await call([])
  t.match(silent, { code: 2, stdout: '', stderr: asked.stdout })
  t.match(await call(['-h']), asked)
  t.match(await call(['help']), asked)
})

t.test('the version is that of the package', async t => {
  t.strictSame(await call(['--version']), { code: 0, stdout: `${version}\n`, stderr: '' })
})

t.test('each command tells its usage, wherever --help stands', async t => {
  for (const name of names) {
    const asked = await call([name, '--help'])
    t.equal(asked.code, 0)
    t.match(asked.stdout, `secure-api ${name}`)
    const [, examples = ''] = /^Examples\n((?: {2}\S.*\n)+)/m.exec(asked.stdout) ?? []
    t.ok(examples.trimEnd().split('\n').length >= 2, `${name} has examples`)
    t.match(asked.stdout, /^Exit code {2}0 .*1 .*2 /m)
    t.strictSame(await call(['help', name]), asked)
    t.strictSame(await call([name, 'x', '-h']), asked)
  }
  t.equal((await call(['routes', '--', '--help'])).code, 2, 'what follows -- is no request for help')
})

t.test('what is misspelt is suggested, with exit code 2', async t => {
  const cases: ReadonlyArray<readonly [string[], RegExp]> = [
    [['rotues'], /`routes`/],
    [['genrate', '--help'], /`generate`/],
    [['routes', '--jsno', 'app.js'], /--json/],
    [['routes', 'app.js', '--otput=x'], /--output/],
    [['routes', 'app.js', '-json'], /no option -json; did you mean --json/],
    [['generate', 'x', '--packagemanager', 'npm'], /--package-manager/],
    [['generate', 'x', '--lnag', 'js'], /--lang/],
    [['token', '--scop', 'a'], /--scope/],
    [['token', 'list', '--jsno'], /--json/],
    [['token', 'remove', 'abc', '--dirctory=x'], /--directory/],
    [['token', 'clear', 'all'], /"all" is one word too many/],
    [['key', 'crate'], /did you mean create\?/],
    [['key', 'create', '--prefx', 'shop'], /--prefix/],
    [['key', 'list', '--overlap', '7d'], /--overlap; it belongs to `key rotate`/],
    [['audit', 'reprot'], /did you mean report\?/],
    [['audit', 'report', '--formt', 'json'], /--format/],
    [['doctor', 'token', '--audiense', 'x'], /--audience/],
    [['doctor', '--jsn'], /--json/],
    [['doctor', 'redis', '--preset', 'x'], /--preset; it belongs to `doctor issuer`, `doctor token`/]
  ]
  for (const [args, hint] of cases) {
    const { code, stdout, stderr } = await call(args)
    t.strictSame([code, stdout], [2, ''], args.join(' '))
    t.match(stderr, hint)
    t.match(stderr, /^secure-api: .*\nTry: secure-api .*--help\n$/, 'one voice')
  }
  for (const args of [['constructor'], ['__proto__'], ['--what']]) t.equal((await call(args)).code, 2, args.join(' '))
})

t.test('another failure is one line and exit code 1; DEBUG adds the stack', async t => {
  const baseline = join(t.testdir({ 'baseline.json': '{}' }), 'baseline.json')
  const args = ['routes', 'app.js', '--check', '--baseline', baseline]
  const plain = await call(args)
  t.equal(plain.code, 1)
  t.equal(plain.stderr.trimEnd().split('\n').length, 1)
  const verbose = await call(args, { env: { DEBUG: '1' } })
  t.match(verbose.stderr, /\n {4}at /)
})

t.test('colour: where a terminal understands it and nobody asked for none', async t => {
  const stream = (isTTY: boolean, columns?: number) => ({ isTTY, ...(columns === undefined ? {} : { columns }) })
  const given = (env: NodeJS.ProcessEnv, tty = true) =>
    terminalOf({ stdin: stream(tty), stdout: stream(tty, 72), stderr: stream(tty), env, cwd: () => '/' } as unknown as NodeJS.Process)
  t.match(given({}), { colour: true, interactive: true, columns: 72 })
  t.match(given({}, false), { colour: false, interactive: false, columns: 100 })
  t.match(given({ NO_COLOR: '1' }), { colour: false })
  t.match(given({ NO_COLOR: '1', FORCE_COLOR: '1' }), { colour: false })
  t.match(given({ FORCE_COLOR: '1' }, false), { colour: true })
  t.match(given({ FORCE_COLOR: '0' }, false), { colour: false })
  t.match(given({ TERM: 'dumb' }), { colour: false })
  t.match(given({ CI: 'true' }), { colour: true, interactive: false })
  t.equal(painter({ colour: true })('red', 'x'), '\u001b[31mx\u001b[39m')
  t.equal(painter({ colour: false })('red', 'x'), 'x')
})

t.test('what was written is waited for', async t => {
  const { terminal, stdout } = fakeTerminal()
  terminal.stdout.write('late')
  await flushed(terminal)
  t.equal(stdout(), 'late')
})
