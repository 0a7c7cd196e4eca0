import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import ts from 'typescript'
import { UsageError } from '../../cli/command.ts'
import { generate } from '../../cli/generate.ts'
import { languages, type Language } from '../../cli/generate/application.ts'
import { applicationFiles, type Files } from '../../cli/generate/files.ts'
import { isPackageName, keyPrefix, nameOf, shortName } from '../../cli/generate/name.ts'
import { originOf } from '../../cli/generate/origin.ts'
import {
  callingPackageManager, packageManagerNames, packageManagers,
  type PackageManagerName
} from '../../cli/generate/package-managers.ts'
import { versions } from '../../cli/generate/versions.ts'
import { withoutTypes, writeJavaScriptTemplate } from '../../scripts/javascript-template.ts'
import { fakeTerminal } from './terminal.ts'

writeJavaScriptTemplate()

interface Manifest {
  name: string
  version: string
  scripts: Record<string, string>
  dependencies: Record<string, string>
  devDependencies: Record<string, string>
}

const root = fileURLToPath(new URL('../..', import.meta.url))
const own = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest
const filesOf = (language: Language, packageManager: PackageManagerName = 'npm') => applicationFiles(root,
  { name: 'my-api', language, packageManager })
const textOf = (files: Files, path: string) => files.get(path) ?? ''
const manifestOf = (files: Files) => JSON.parse(textOf(files, 'package.json')) as Manifest

async function call (args: readonly string[], given: Parameters<typeof fakeTerminal>[0] = {}) {
  const { terminal, stdout, stderr } = fakeTerminal(given)
  const code = await generate.run(args, terminal, async () => [])
  return { code, stdout: stdout(), stderr: stderr() }
}

t.test('every language with every package manager: all files, every word filled in, and the same names', async t => {
  const wanted = ['.dockerignore', '.env.development', '.env.example', '.github/workflows/ci.yml', '.gitignore', 'Dockerfile', 'README.md',
    'package.json']
  for (const language of languages) {
    for (const packageManager of packageManagerNames) {
      const files = filesOf(language, packageManager)
      for (const name of [...wanted, `src/app.${language}`, `src/plugins/secure-api.${language}`, `src/routes/login/index.${language}`,
        `test/app.test.${language}`]) {
        t.ok(files.has(name), `${language} ${packageManager}: ${name}`)
      }
      for (const [path, text] of files) {
        t.notMatch(text, /\{\{\w+\}\}/, `${language} ${packageManager}: ${path}`)
        t.notMatch(path, /(^|\/)_/)
        t.ok(text.endsWith('\n') && !/[ \t]$/m.test(text), `${language} ${packageManager}: ${path} has no stray space`)
      }
    }
  }
})

t.test('the JavaScript template is the TypeScript one without its types', async t => {
  const [typed, plain] = [filesOf('ts'), filesOf('js')]
  const sources = [...typed.keys()].filter(path => path.endsWith('.ts'))
  t.ok(sources.length >= 10, `${sources.length} sources`)
  t.strictSame([...plain.keys()].filter(path => /^(src|test)\//.test(path)), sources.map(path => path.replace(/ts$/, 'js')))
  for (const path of sources) t.equal(printed(textOf(plain, path.replace(/ts$/, 'js'))), printed(textOf(typed, path)), path)
})

/** As the compiler prints it; only one printer, so that layout does not matter. */
function printed (source: string): string {
  const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true }
  return ts.transpileModule(source, { compilerOptions, fileName: 'source.ts' }).outputText.replace(/, \{ *\}/, '').replaceAll(".ts'",
    ".js'").replace(/\((\w+)\) =>/g, '$1 =>')
}

t.test('what is left of TypeScript keeps its comments, blank lines and spaces', async t => {
  const source = `import type { FastifyInstance } from 'fastify'
import a, { type A } from './a.ts'
import { b, type B, c } from './b.ts'
import { type D } from './d.ts'

/** Goes with the type. */
export interface Order extends A {
  id?: string
}

// Stays.
const list = <T>(items: readonly T[], by?: B): T[] => items.filter(one => one !== undefined)   as T[]

export async function find (id: string, all: Order[] = []): Promise<Order | undefined> {
  const { default: d } = await import('./d.ts')

  return id ? all.find((order: Order) => order.id === id)! : d<Order>('./e.ts')
}
`
  t.equal(withoutTypes(source), `import a from './a.js'
import { b, c } from './b.js'

// Stays.
const list = (items, by) => items.filter(one => one !== undefined)

export async function find (id, all = []) {
  const { default: d } = await import('./d.js')

  return id ? all.find(order => order.id === id) : d('./e.ts')
}
`)
})

t.test('versions agree with those that the package itself is tested with', async t => {
  const named = Object.assign({}, ...Object.values(versions)) as Record<string, string>
  const tested = { ...own.dependencies, ...own.devDependencies }
  const both = Object.keys(named).filter(name => name in tested)
  t.ok(both.length >= 5, both.join())
  for (const name of both) t.equal(named[name], tested[name], name)
  for (const language of languages) {
    const { dependencies, devDependencies } = manifestOf(filesOf(language))
    for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies })) {
      if (name !== 'fastify-secure-api') t.equal(version, named[name], name)
    }
  }
})

t.test('issue 17.6: --redis and --openapi add the dependency and what uses it, and nothing of it stays without them', async t => {
  const plain = filesOf('ts')
  const both = applicationFiles(root, { name: 'my-api', language: 'ts', packageManager: 'npm', features: ['redis', 'openapi'] })
  t.match(manifestOf(both).dependencies, { ioredis: versions.redis.ioredis, '@fastify/swagger': versions.openapi['@fastify/swagger'] })
  t.notMatch(manifestOf(plain).dependencies, { ioredis: /./ })
  const own = ['src/plugins/openapi.ts', 'src/routes/openapi.json/index.ts']
  t.strictSame([...both.keys()].filter(path => !plain.has(path)), own)
  t.match(textOf(both, 'src/settings.ts'), "needed.push('SECURE_API_REDIS_URL')\n")
  t.notMatch(textOf(plain, 'src/settings.ts'), 'REDIS')
  t.match(textOf(both, 'README.md'), 'openapi.json')
  t.notMatch(textOf(plain, 'README.md'), 'openapi')
  for (const [path, text] of [...plain, ...both]) t.notMatch(text, /(\/\/|#|<!--) if \w+(?: -->)?$/m, path)
  const cwd = t.testdir({})
  await call(['x', '--redis', '--openapi', '--no-install', '--lang', 'JavaScript'], { cwd })
  t.match(readFileSync(join(cwd, 'x/package.json'), 'utf8'), '"ioredis"')
  t.ok(existsSync(join(cwd, 'x/src/routes/openapi.json/index.js')))
})

t.test('issue 18: --auth api-key adds keys beside tokens, a script that makes one, and no trace without it', async t => {
  const plain = filesOf('ts')
  const keys = applicationFiles(root, { name: '@acme/my-api', language: 'ts', packageManager: 'npm', features: ['apiKeys'] })
  t.strictSame([...keys.keys()].filter(path => !plain.has(path)), ['src/api-keys.ts', 'test/api-keys.test.ts'])
  t.equal(manifestOf(keys).scripts['key'], 'secure-api key create --prefix myapi --file keys.json')
  t.match(textOf(keys, 'src/api-keys.ts'), "prefix: 'myapi'")
  t.match(textOf(keys, '.gitignore'), /^keys\.json$/m)
  t.match(textOf(keys, '.env.example'), /^API_KEYS_FILE=$/m)
  t.notMatch(textOf(keys, 'src/settings.ts'), 'SECURE_API_ISSUER', 'keys alone will do')
  for (const text of keys.values()) t.notMatch(text, /(\/\/|#|<!--) if \w+(?: -->)?$/m)
  for (const [path, text] of plain) t.notMatch(text, /api-?keys?/i, path)
  for (const [name, prefix] of [['9-lives', 'lives'], ['a', 'api'], ['42', 'api'], ['x'.repeat(40), 'x'.repeat(16)]] as const) {
    t.equal(keyPrefix(name), prefix)
  }
  const cwd = t.testdir({})
  t.equal((await call(['x', '--auth', 'api-key', '--no-install', '--lang', 'js'], { cwd })).code, 0)
  t.ok(existsSync(join(cwd, 'x/src/api-keys.js')))
  await t.rejects(call(['y', '--auth', 'password'], { cwd }), UsageError)
})

t.test('issue 17.6: in production all missing variables are named at once; development and tests need none', async t => {
  const files = applicationFiles(root, { name: 'my-api', language: 'js', packageManager: 'npm', features: ['redis'] })
  const folder = t.testdir({ 'package.json': '{"type":"module"}', 'settings.js': textOf(files, 'src/settings.js') })
  writeFileSync(join(folder, 'check.js'), "import { checkSettings } from './settings.js'\n" +
    'try { checkSettings(); console.log("fine") } catch ({ message }) { console.log(message) }\n')
  const said = (env: Record<string, string>) => execFileSync(process.execPath, ['check.js'], { cwd: folder, env, encoding: 'utf8' }).trim()
  const advice = '; .env.example says what each is for'
  t.equal(said({}), `not set: SECURE_API_ISSUER, TRUST_PROXY, SECURE_API_REDIS_URL${advice}`)
  t.equal(said({ TRUST_PROXY: '10.0.0.1', SECURE_API_REDIS_URL: 'redis://x', LOGIN_KEY: 'k' }),
    `not set: SECURE_API_ISSUER, PUBLIC_URL${advice}`)
  for (const name of ['development', 'test']) t.equal(said({ NODE_ENV: name }), 'fine')
})

t.test('issue 17.6: in development one line for each request', async t => {
  const folder = t.testdir({
    'package.json': '{"type":"module"}',
    'development-log.js': textOf(filesOf('js'), 'src/development-log.js')
  })
  const lines = [
    { level: 30, msg: 'Server listening at http://127.0.0.1:3000' },
    { level: 30, reqId: 'a', req: { method: 'GET', url: '/orders' }, msg: 'incoming request' },
    { level: 30, reqId: 'b', req: { method: 'POST', url: '/orders' }, msg: 'incoming request' },
    { level: 30, reqId: 'a', res: { statusCode: 401 }, responseTime: 4.4717, msg: 'request completed' },
    { level: 30, audit: { event: 'authn_fail' }, msg: 'audit' },
    { level: 50, reqId: 'b', req: {}, res: { statusCode: 500 }, err: { stack: 'Error: boom\n    at x' }, msg: 'boom' },
    { level: 30, reqId: 'b', res: { statusCode: 500 }, responseTime: 7, msg: 'request completed' },
    { level: 40, msg: 'careful' }
  ]
  writeFileSync(join(folder, 'check.js'), "import { developmentLog } from './development-log.js'\n" +
    `for (const line of ${JSON.stringify(lines)}) developmentLog.stream.write(JSON.stringify(line))\n`)
  t.equal(execFileSync(process.execPath, ['check.js'], { cwd: folder, encoding: 'utf8' }), `Server listening at http://127.0.0.1:3000
GET /orders 401 4.5 ms
ERROR Error: boom
    at x
POST /orders 500 7.0 ms
WARN careful
`)
})

t.test('issue 17.6: the folder to go to is quoted as a shell needs it', async t => {
  const cwd = t.testdir({})
  t.match((await call(["Bob's API", '--no-install'], { cwd })).stdout, "cd 'Bob'\\''s API'\n")
  t.match((await call(['plain-api', '--no-install'], { cwd })).stdout, 'cd plain-api\n')
})

t.test('package.json: scripts name files that are there, and `fastify start` takes the options over', async t => {
  for (const language of languages) {
    const files = filesOf(language)
    const { scripts } = manifestOf(files)
    for (const script of ['dev', 'start', 'test', 'try', 'token', 'routes', 'account']) t.type(scripts[script], 'string', script)
    t.match(scripts['start'], /^fastify start .*-o\b/)
    for (const text of Object.values(scripts)) {
      for (const [path] of text.matchAll(/\b(?:dist\/)?(?:src|scripts)\/[\w/.-]+/g)) {
        t.ok(files.has(path) || files.has(path.replace('dist/', '').replace(/js$/, 'ts')), path)
      }
    }
  }
  t.match(textOf(filesOf('ts'), 'src/app.ts'), /skipOverride: true/)
})

t.test('no secret lies in what git keeps', async t => {
  for (const [path, text] of filesOf('ts')) {
    t.notMatch(text, /-----BEGIN|eyJ[\w-]{10}|password["']?: *["'][^"']/, path)
  }
  const values = textOf(filesOf('ts'), '.env.example').split('\n').filter(line => /^\w+=./.test(line))
  t.strictSame(values, ['SECURE_API_AUDIENCE=api://my-api'])
  for (const name of ['.env', '.secure-api/', 'accounts.json', '*.pem', 'node_modules/']) {
    t.ok(textOf(filesOf('js'), '.gitignore').split('\n').includes(name), name)
  }
})

t.test('the image copies what is there, runs as node and installs what the lock file says', async t => {
  for (const language of languages) {
    for (const packageManager of packageManagerNames) {
      const files = filesOf(language, packageManager)
      const dockerfile = textOf(files, 'Dockerfile')
      const sent = textOf(files, '.dockerignore').split('\n').filter(line => line.startsWith('!')).map(line => line.slice(1))
      const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.*) \S+$/gm)].flatMap(([, names = '']) => names.split(' '))
      for (const name of copied) {
        t.ok(sent.includes(name), `${name} is sent to the builder`)
        t.ok(name === packageManagers[packageManager].lockFile ||
          [...files.keys()].some(path => path === name || path.startsWith(`${name}/`)), `${name} exists`)
      }
      t.match(dockerfile, /^USER node$/m)
      t.match(dockerfile, /^ENV NODE_ENV=production/m)
      t.match(dockerfile, language === 'ts' ? packageManagers[packageManager].clean : packageManagers[packageManager].cleanProduction)
      t.match(dockerfile, /"start", "-o"/)
    }
  }
})

t.test('the workflow pins its actions, may only read, and uses the package manager', async t => {
  for (const packageManager of packageManagerNames) {
    const workflow = textOf(filesOf('ts', packageManager), '.github/workflows/ci.yml')
    const uses = [...workflow.matchAll(/uses: (\S+)/g)].map(([, action = '']) => action)
    t.ok(uses.length > 0)
    for (const action of uses) t.match(action, /@[0-9a-f]{40}$/)
    t.match(workflow, /^permissions:\n {2}contents: read$/m)
    t.match(workflow, `- run: ${packageManagers[packageManager].clean}\n`)
    t.equal(workflow.includes('install --global'), packageManager !== 'npm')
  }
})

t.test('names: what npm takes, and what becomes of a folder', async t => {
  for (const name of ['my-api', '@acme/orders', 'a', 'x.y_z', 'n'.repeat(214)]) t.ok(isPackageName(name), name)
  for (const name of ['', 'My-Api', '.hidden', '_x', 'a b', '@acme', '@acme/', '@/x', 'a/b', 'ä', 'node_modules', 'fastify',
    'fastify-secure-api', 'n'.repeat(215)]) t.notOk(isPackageName(name), name)
  const folders: Readonly<Record<string, string>> = {
    '/x/my-api': 'my-api',
    '/x/My API': 'my-api',
    '/x/.hidden': 'hidden',
    '/x/Ünïque': 'u-ni-que',
    '/x/日本': 'my-api',
    '/x/fastify': 'fastify-app',
    '/x/node_modules': 'node_modules-app',
    '/': 'my-api'
  }
  for (const [folder, name] of Object.entries(folders)) {
    t.equal(nameOf(folder), name, folder)
    t.ok(isPackageName(nameOf(folder)))
  }
  t.ok(isPackageName(nameOf(`/x/${'n'.repeat(250)}`)))
  t.equal(shortName('@acme/orders'), 'orders')
  t.equal(textOf(applicationFiles(root, { name: '@acme/orders', language: 'js', packageManager: 'npm' }),
    'src/plugins/secure-api.js').includes("'api://orders'"), true)
})

t.test('the application depends on what generated it: checkout, release, or file', async t => {
  t.strictSame(originOf(root.replace(/\/$/, '')), { specifier: `file:${root.replace(/\/$/, '')}`, local: true })
  const project = t.testdir({ node_modules: { 'fastify-secure-api': { 'package.json': '{"version":"1.2.3"}' } } })
  const installed = join(project, 'node_modules/fastify-secure-api')
  t.strictSame(originOf(installed), { specifier: '^1.2.3', local: false })
  const notes = join(project, 'node_modules/.package-lock.json')
  writeFileSync(notes, '{"packages":{"node_modules/fastify-secure-api":{"resolved":"https://registry.example/x.tgz"}}}')
  t.strictSame(originOf(installed), { specifier: '^1.2.3', local: false })
  writeFileSync(notes, '{"packages":{"node_modules/fastify-secure-api":{"resolved":"file:../x.tgz"}}}')
  t.strictSame(originOf(installed), { specifier: `file:${join(project, '../x.tgz')}`, local: true })
})

t.test('a linked package is copied by npm, so that there is one Fastify', async t => {
  t.match(textOf(filesOf('ts'), '.npmrc'), 'install-links=true\n')
  t.notOk(filesOf('ts', 'pnpm').has('.npmrc'))
})

t.test('into a new folder, an empty one, and one with a fresh repository; not into another', async t => {
  const cwd = t.testdir({ empty: {}, repository: { '.git': {} }, full: { 'notes.txt': 'mine', 'README.md': 'mine' }, file: 'x' })
  for (const folder of ['deep/er/new-api', 'empty', 'repository']) {
    const { code, stdout } = await call([folder, '--no-install', '--lang', 'js'], { cwd })
    t.equal(code, 0, folder)
    t.match(stdout, folder)
    t.ok(existsSync(join(cwd, folder, 'src/app.js')))
  }
  await t.rejects(call(['full', '--no-install'], { cwd }), UsageError)
  await t.rejects(call(['file', '--no-install'], { cwd }), UsageError)
  t.strictSame(readdirSync(join(cwd, 'full')), ['README.md', 'notes.txt'])
  t.equal((await call(['full', '--no-install', '--force'], { cwd })).code, 0)
  t.equal(readFileSync(join(cwd, 'full/notes.txt'), 'utf8'), 'mine')
  t.not(readFileSync(join(cwd, 'full/README.md'), 'utf8'), 'mine')
})

t.test('arguments: name, language, package manager; mistakes are named before anything is written', async t => {
  const cwd = t.testdir({})
  await call(['Orders API', '--no-install'], { cwd, env: { npm_config_user_agent: 'pnpm/10.1.0 npm/? node/v24.0.0' } })
  t.match(manifestOf(new Map([['package.json', readFileSync(join(cwd, 'Orders API/package.json'), 'utf8')]])),
    { name: 'orders-api', private: true })
  t.match(readFileSync(join(cwd, 'Orders API/README.md'), 'utf8'), 'pnpm run dev')
  await call(['other', '--name', '@acme/orders', '--package-manager', 'yarn', '--no-install'], { cwd })
  t.match(readFileSync(join(cwd, 'other/package.json'), 'utf8'), '"name": "@acme/orders"')
  const wrong = [['x', 'y'], ['x', '--lang', 'coffee'], ['x', '--package-manager', 'bower'], ['x', '--name', 'A B'], ['x', '--colour'],
    [''], []]
  for (const args of wrong) {
    await t.rejects(call(args, { cwd }), { name: /UsageError|TypeError/ }, args.join(' '))
  }
  t.strictSame(readdirSync(cwd), ['Orders API', 'other'])
})

t.test('the package manager that runs the command is taken', async t => {
  const agents: Readonly<Record<string, PackageManagerName>> = {
    'npm/11.4.2 node/v24.1.0 linux x64': 'npm',
    'yarn/1.22.22 npm/? node/v20.19.0': 'yarn',
    'pnpm/10.0.0 npm/?': 'pnpm',
    'bun/1.2.0': 'npm',
    '': 'npm'
  }
  for (const [agent, name] of Object.entries(agents)) t.equal(callingPackageManager({ npm_config_user_agent: agent }), name, agent)
  t.equal(callingPackageManager({}), 'npm')
})

t.test('on a terminal it asks, takes the default for an empty answer, and asks again', async t => {
  const cwd = t.testdir({})
  mkdirSync(join(cwd, 'full/src'), { recursive: true })
  const asked = await converse(cwd, ['full', '', 'perl', 'JavaScript', 'NPM', 'perhaps', 'no'])
  t.equal(asked.code, 0)
  t.match(readFileSync(join(cwd, 'my-api/package.json'), 'utf8'), '"name": "my-api"')
  t.ok(existsSync(join(cwd, 'my-api/src/app.js')))
  t.equal(asked.stdout.match(/Language/g)?.length, 2)
  t.equal(asked.stdout.match(/Install/g)?.length, 2)
  t.match(asked.stdout, /full is not empty/)
  t.notMatch(asked.stdout, /--(lang|package)/, 'an answer is no option')
  await t.rejects(converse(cwd, ['other']), /nothing was generated/)
  t.notOk(existsSync(join(cwd, 'other')))
})

/** Answers one question after the other, and then ends the input. */
async function converse (cwd: string, answers: string[]) {
  const [stdin, stdout] = [new PassThrough(), new PassThrough()]
  let said = ''
  stdout.on('data', (text: Buffer) => {
    said += text.toString()
    if (!said.endsWith('] ')) return
    const answer = answers.shift()
    if (answer === undefined) stdin.end()
    else stdin.write(`${answer}\n`)
  })
  const code = await generate.run([], fakeTerminal({ cwd, stdin, stdout, interactive: true }).terminal, async () => [])
  return { code, stdout: said }
}

t.test('installing: the package manager runs in the folder; when it fails the files stay and the exit code is 1', async t => {
  const cwd = t.testdir({ bin: {} })
  const program = join(cwd, 'bin/npm')
  writeFileSync(program, '#!/bin/sh\necho "in $PWD: $*"\n[ ! -e fail ]\n')
  chmodSync(program, 0o755)
  // Nothing else: a yarn of the machine would run, on a Node that may not know the options tap put into NODE_OPTIONS.
  const env = { PATH: join(cwd, 'bin') }
  t.match(await call(['good', '--lang', 'js'], { cwd, env }), { code: 0, stdout: '/good: install\n' })
  mkdirSync(join(cwd, 'bad'))
  writeFileSync(join(cwd, 'bad/fail'), '')
  t.match(await call(['bad', '--force', '--lang', 'js'], { cwd, env }), { code: 1, stdout: /npm install/ })
  t.ok(existsSync(join(cwd, 'bad/src/app.js')))
  t.match(await call(['absent', '--package-manager', 'yarn'], { cwd, env }), { code: 1, stderr: /yarn/ })
})

t.test('create-secure-api has the same version and runs `generate`', async t => {
  const folder = join(root, 'create-secure-api')
  const { version, dependencies, bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest & {
    bin: Record<string,
    string>
  }
  t.equal(version, own.version)
  t.equal(dependencies['fastify-secure-api'], own.version)
  t.ok(statSync(join(folder, bin['create-secure-api'] ?? '')).mode & 0o100, 'it is executable')
  const project = t.testdir({
    'index.js': readFileSync(join(folder, 'index.js')),
    'package.json': '{"type":"module"}',
    node_modules: {
      'fastify-secure-api': {
        'package.json': '{"type":"module"}',
        dist: { cli: { 'main.js': 'console.log(process.argv.slice(2).join())' } }
      }
    }
  })
  t.equal(execFileSync(process.execPath, ['index.js', 'my-api', '--lang', 'js'], { cwd: project, encoding: 'utf8' }),
    'generate,my-api,--lang,js\n')
})
