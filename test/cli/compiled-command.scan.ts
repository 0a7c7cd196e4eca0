import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { secureApiCommand } from '../../cli/secure-api.ts'
import { compiledCommand } from './compiled.ts'
import { fakeTerminal } from './terminal.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }

t.test('the compiled command', async t => {
  // Each process of the command takes its time to start, and waits for an application in another.
  t.jobs = 3
  const { folder, main, run } = compiledCommand(t)
  const fixtures = join(folder, 'test/cli/fixtures')

  t.test('starts through a link in a folder of the PATH, as npm makes it', async t => {
    t.equal(readFileSync(main, 'utf8').split('\n', 1)[0], '#!/usr/bin/env node')
    chmodSync(main, statSync(main).mode | 0o111)
    const link = join(t.testdir({}), 'secure-api')
    symlinkSync(main, link)
    // `env` finds the Node of this test: another one of the machine may refuse what tap put into NODE_OPTIONS.
    const env = { ...process.env, PATH: `${dirname(process.execPath)}${delimiter}${process.env['PATH']}` }
    const printed = await new Promise((resolve, reject) => execFile(link, ['--version'], { env }, (error, stdout) => error === null
      ? resolve(stdout)
      : reject(error)))
    t.equal(printed, `${version}\n`)
  })

  t.test('ends with the exit code of the command, without colour into a pipe', async t => {
    t.match(await run(['--help'], root), { code: 0, stderr: '' })
    t.match(await run(['nothing'], root), { code: 2, stdout: '' })
  })

  t.test('ends quietly when nobody reads on', async t => {
    const child = spawn(process.execPath, [main, '--help'], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
    child.stdout.destroy()
    const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, 'close')])
    t.strictSame([code, stderr], [0, ''])
  })

  t.test('routes: shows an application in JavaScript, whose timers and messages stay its own', async t => {
    const place = t.testdir({ '.env': 'SECURE_API_ISSUER=https://login.invalid\nSECURE_API_AUDIENCE=api://orders\n' })
    writeFileSync(join(place, 'app.js'), `
import secureApi from ${JSON.stringify(join(folder, 'plugins/index.js'))}
console.log('noise of the application')
setInterval(() => {}, 1000)
export const options = { skipOverride: true }
export default async function app (fastify, options) {
  await fastify.register(secureApi)
  fastify.get('/orders', { config: { scope: 'api.read' } }, async () => [])
  fastify.post('/orders', async () => [])
}
`)
    const shown = await run(['routes', 'app.js', '--json', '--check'], place)
    t.equal(shown.code, 1, shown.stderr)
    const { routes, findings } = JSON.parse(shown.stdout)
    t.match(routes, [
      { methods: ['GET'], url: '/orders', access: { scope: 'api.read' }, coverage: 'suite', source: { file: 'app.js', line: 8 } },
      { methods: ['POST'], url: '/orders', access: 'closed' }
    ])
    t.match(findings, [{ code: 'SECURE_API_POSTURE_NO_RULE', severity: 'error', route: 'POST /orders' }])
    t.match(shown.stderr, 'noise of the application')
    const baseline = ['--check', '--baseline', 'accepted.json']
    t.equal((await run(['routes', 'app.js', ...baseline, '--update-baseline'], place)).code, 0)
    t.equal((await run(['routes', 'app.js', ...baseline], place)).code, 0)
  })

  t.test('routes: shows what is found, and fails only when it is to check', async t => {
    const { code, stdout } = await run(['routes', 'orders.js'], fixtures)
    t.equal(code, 0)
    t.match(stdout, /^✖ GET +\/internal\/metrics +closed: no rule/m)
    t.match(stdout, '4 errors, 5 warnings, 1 note')
  })

  t.test('routes: in Actions annotations follow, apart from what programs read', async t => {
    const place = t.testdir({})
    const [accepted, output] = [join(place, 'accepted.json'), join(place, 'out.txt')]
    const actions = { GITHUB_ACTIONS: 'true', GITHUB_WORKSPACE: folder }
    const checked = await run(['routes', 'orders.js', '--check', '--json'], fixtures, actions)
    t.equal(checked.code, 1)
    const { findings } = JSON.parse(checked.stdout) as { findings: Array<{ severity: string, source: { file: string, line: number } }> }
    const line = readFileSync(join(root, 'test/cli/fixtures/orders.ts'),
      'utf8').split('\n').findIndex(text => text.includes('/internal/metrics')) + 1
    t.match(findings[0]?.source, { file: 'orders.ts', line }, 'the source is named, not what was compiled from it')
    t.match(checked.stderr, `::error file=test/cli/fixtures/orders.ts,line=${line},title=SECURE_API_POSTURE_NO_RULE::`)
    writeFileSync(accepted, JSON.stringify({ version: 1, accepted: findings.filter(({ severity }) => severity === 'error') }))
    t.equal((await run(['routes', 'orders.js', '--check', '--baseline', accepted], fixtures)).code, 0)
    const strict = await run(['routes', 'orders.js', '--check', '--baseline', accepted, '--fail-on', 'warning', '--output', output],
      fixtures, actions)
    t.equal(strict.code, 1)
    t.match(strict.stdout, /^::warning /, 'only annotations: the text went to the file')
    t.match(readFileSync(output, 'utf8'), '5 warnings, 1 note; 4 accepted')
  })

  t.test('issue 17.11: routes loads TypeScript with the tsx of the application, and says what to do without', async t => {
    const sources = {
      'src/names.ts': "export enum Scope { read = 'api.read' }",
      'src/app.ts': `import type { FastifyInstance } from 'fastify'
import secureApi from ${JSON.stringify(join(folder, 'plugins/index.js'))}
import { Scope } from './names.js'

interface Options { prefix?: string }

export const options = { skipOverride: true }
export default async function app (fastify: FastifyInstance, _options: Options): Promise<void> {
  await fastify.register(secureApi)
  fastify.get('/orders', { config: { scope: Scope.read } }, async () => [])
}
`,
      'src/fails.ts': 'interface A { a: string }\n\nexport default async function app (_app: object, _options: A): Promise<void> {\n' +
        "  throw new Error('no database')\n}\n"
    }
    const settings = { SECURE_API_ISSUER: 'https://login.invalid', SECURE_API_AUDIENCE: 'api://orders' }
    // In the repository, which has tsx; and beyond it, where nothing is installed.
    const place = mkdtempSync(join(folder, 'typescript-'))
    const bare = mkdtempSync(join(tmpdir(), 'typescript-'))
    t.teardown(() => rmSync(bare, { recursive: true }))
    for (const where of [place, bare]) {
      mkdirSync(join(where, 'src'))
      writeFileSync(join(where, 'package.json'), '{"type":"module"}')
      for (const [name, source] of Object.entries(sources)) writeFileSync(join(where, name), source)
    }
    const shown = await run(['routes', 'src/app.ts', '--json'], place, settings)
    t.equal(shown.code, 0, shown.stderr)
    t.match(JSON.parse(shown.stdout).routes, [{ url: '/orders', access: { scope: 'api.read' }, source: { file: 'src/app.ts', line: 10 } }])
    const failed = await run(['routes', 'src/fails.ts'], place)
    t.match(failed, { code: 1, stderr: /^secure-api: src\/fails\.ts:4: no database$/m })
    const refused = await run(['routes', 'src/app.ts'], bare, settings)
    t.match(refused, { code: 1, stderr: /npm install --save-dev tsx/ })
  })

  t.test('routes: an application that fails, ends or hangs is told of', async t => {
    const broken: ReadonlyArray<readonly [name: string, source: string, why: RegExp]> = [
      ['fails.mjs', "export default async function app (fastify, options) { throw new Error('no database') }",
        /^secure-api: fails\.mjs:1: no database$/m],
      ['wraps.mjs', "const cause = new Error('refused')\nconst error = new Error('no database', { cause })\n" +
        "error.stack = ''\nexport default async () => { throw error }", /^secure-api: wraps\.mjs:1: no database$/m],
      ['imports.mjs', "export const a = 1\nimport { nothing } from './wraps.mjs'", /^secure-api: imports\.mjs:2: /m],
      ['syntax.cjs', 'module.exports = 1\nconst x = = 2', /^secure-api: syntax\.cjs:2: Unexpected token/m],
      ['ends.mjs', 'process.exit(3)', /ended with code 3/],
      ['crashes.mjs', "process.kill(process.pid, 'SIGSEGV')\nawait new Promise(() => {})", /ended with SIGSEGV/],
      ['hangs.mjs', 'setInterval(() => {}, 1000)\nawait new Promise(() => {})', /not ready within 1 second/]
    ]
    const place = t.testdir(Object.fromEntries(broken))
    for (const [name, , why] of broken) {
      const { code, stderr } = await run(['routes', name, ...(name === 'hangs.mjs' ? ['--timeout', '1'] : [])], place)
      t.equal(code, 1, name)
      t.match(stderr, why, name)
    }
    for (const args of [['nowhere.js'], ['.'], ['fails.mjs', '--env', 'nowhere'], ['fails.mjs', '--check', '--baseline', 'nowhere.json']]) {
      t.equal(await secureApiCommand(['routes', ...args], fakeTerminal({ cwd: place }).terminal), 2, args.join(' '))
    }
  })
})
