import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import t from 'tap'
import ts from 'typescript'
import { applicationFolder, init, run } from '../init-applications.ts'

const bare = "export default async function app (fastify, options) {\n  fastify.get('/', async () => 'hello')\n}\n"

t.test('--json: report and diff in one document', async t => {
  const folder = applicationFolder(t, { 'app.js': bare })
  const { code, stdout } = await init(folder, 'app.js', '--json')
  t.equal(code, 0)
  const { version, plugin, routes, findings, diff } = JSON.parse(stdout) as Record<string, unknown>
  t.match({ version, plugin, routes }, {
    version: 1,
    plugin: 'plugins/secure-api.js',
    routes: [{ route: 'GET /', rule: 'public: true', written: 'route', source: { file: 'app.js', line: 2 } }]
  })
  t.match(findings, [{ level: 'look' }])
  t.match(diff, /^diff --git a\/app\.js b\/app\.js\n/)
  t.notOk(existsSync(join(folder, 'plugins')), 'and nothing is written')
})

t.test('a terminal is asked, and only yes writes', async t => {
  for (const [answer, written] of [['no', false], ['', false], ['yes', true]] as const) {
    const folder = applicationFolder(t, { 'app.js': bare })
    const stdin = new PassThrough()
    stdin.end(`${answer}\n`)
    const { stderr } = await run(folder, ['init', 'app.js'], { stdin, interactive: true })
    t.match(stderr, /Write 2 files\? \[no\]/)
    t.equal(existsSync(join(folder, 'plugins/secure-api.js')), written, JSON.stringify(answer))
  }
})

const commonjs = `'use strict';

const jwt = require('@fastify/jwt');

module.exports = async function app (fastify, options) {
  await fastify.register(jwt, { secret: 'a shared secret', sign: { iss: 'https://api.example.com', aud: 'api://orders' } });
  fastify.get('/me', { onRequest: async request => { await request.jwtVerify(); } }, async request => request.user);
  fastify.get('/token', async () => ({ token: fastify.jwt.sign({ sub: 'alice' }) }));
};
`

t.test('CommonJS with semicolons: the plugin file is written so, and the application starts', async t => {
  const folder = applicationFolder(t, { 'app.js': commonjs, 'package.json': '{ "dependencies": { "fastify-plugin": "*" } }' })
  t.equal((await init(folder, 'app.js', '--write')).code, 0)
  const plugin = readFileSync(join(folder, 'plugins/secure-api.js'), 'utf8')
  t.match(plugin, /^'use strict';?\n\nconst secureApi = require\('fastify-secure-api'\);\nconst fp = require\('fastify-plugin'\);\n/)
  t.match(plugin, /^module\.exports = fp\(secured, \{ name: 'secured' \}\);$/m)
  const app = readFileSync(join(folder, 'app.js'), 'utf8')
  t.match(app, "  await fastify.register(require('./plugins/secure-api.js'));\n")
  t.match(app, "fastify.get('/me', { config: { authenticated: true } }, async request => request.user);")
  t.notMatch(app, '@fastify/jwt')
})

t.test('TypeScript: a typed plugin file, imported as the application imports', async t => {
  const folder = applicationFolder(t, {
    'app.ts': `import type { FastifyInstance } from 'fastify'
import { hello } from './hello.ts'

export default async function app (fastify: FastifyInstance, _options: object): Promise<void> {
  fastify.get<{ Querystring: { a: Array<string> } }>('/', hello)
}
`,
    'hello.ts': "export async function hello (): Promise<string> { return 'hello' }\n"
  })
  t.equal((await init(folder, 'app.ts', '--write')).code, 0)
  const [plugin, app] = ['plugins/secure-api.ts', 'app.ts'].map(name => readFileSync(join(folder, name), 'utf8'))
  t.match(plugin, "import type { FastifyInstance } from 'fastify'\n")
  t.match(plugin, 'async function secured (app: FastifyInstance) {')
  t.match(app, "  await fastify.register(import('./plugins/secure-api.ts'))\n")
  t.match(app, "'/', { config: { public: true } }, hello)")
  for (const text of [plugin, app]) t.strictSame(ts.transpileModule(text ?? '', { reportDiagnostics: true }).diagnostics, [])
})

t.test("an application's own decorator named auth is a hook like any other", async t => {
  const folder = applicationFolder(t, {
    'app.js': `import jwt from '@fastify/jwt'

export default async function app (fastify) {
  await fastify.register(jwt, { secret: 'a shared secret', sign: { iss: 'https://api.example.com', aud: 'api://orders' } })
  fastify.decorate('auth', async request => { await request.jwtVerify() })
  const isAdmin = async request => { if (request.user.role !== 'admin') throw new Error('no') }
  fastify.get('/me', { preHandler: fastify.auth }, async request => request.user)
  fastify.delete('/users/:id', { preHandler: [fastify.auth, isAdmin] }, async () => '')
}
`
  })
  const { stdout } = await init(folder, 'app.js', '--json')
  const { routes } = JSON.parse(stdout) as { routes: Array<{ route: string, rule: string }> }
  t.strictSame(routes.map(({ route, rule }) => [route, rule]),
    [['GET /me', 'authenticated: true'], ['DELETE /users/:id', "role: 'admin'"]])
})

t.test('routes of one path whose rules differ are counted as routes without one', async t => {
  const folder = applicationFolder(t, {
    'app.js': `export default async function app (fastify) {
  const check = async request => { await request.jwtVerify() }
  for (const [method, preHandler] of [['GET', []], ['DELETE', [check]]]) {
    fastify.route({ method, url: '/a', preHandler, handler: async () => '' })
  }
}
`
  })
  const { stderr } = await init(folder, 'app.js')
  t.match(stderr, /^2 routes: 0 get their rule where they are declared, 0 in plugins\/secure-api\.js, 2 none\.$/m)
})
