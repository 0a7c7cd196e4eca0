import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FastifyInstance, InjectOptions } from 'fastify'
import t, { type Test } from 'tap'
import { copied, init, root, run, started } from '../init-applications.ts'

const requests: readonly InjectOptions[] = [
  { url: '/' }, { url: '/nowhere' }, { url: '/api' }, { url: '/api/nowhere' }, { url: '/public/hello.txt' }, { url: '/public/none.txt' },
  { url: '/api/notes' }, { url: '/api/notes/' }, { url: '/api/notes/1' }, { url: '/api/notes/9' }, { url: '/api/notes/one' },
  { method: 'POST', url: '/api/notes', payload: { text: 'milk' } }, { method: 'POST', url: '/api/notes', payload: {} },
  { method: 'DELETE', url: '/api/notes/1' }, { method: 'PUT', url: '/api/users/alice/roles' }, { url: '/api/users/me' },
  { method: 'POST', url: '/api/auth/login', payload: { name: 'alice', password: 'wrong' } },
  { method: 'POST', url: '/api/auth/login', payload: { name: 'alice' } }
]

/** The status of each answer, and the body of each 200. */
async function answers (app: FastifyInstance, cookie: string): Promise<string[]> {
  const lines: string[] = []
  for (const request of requests) {
    const { statusCode, body } = await app.inject({ ...request, headers: { cookie } })
    lines.push(`${request.method ?? 'GET'} ${String(request.url)} ${statusCode} ${statusCode === 200 ? body : ''}`)
  }
  return lines
}

async function session (t: Test, app: FastifyInstance, name: string, password: string): Promise<string> {
  const { statusCode, headers } = await app.inject({ method: 'POST', url: '/api/auth/login', payload: { name, password } })
  t.equal(statusCode, 200, `${name} signs in`)
  return String(headers['set-cookie']).split(';')[0] ?? ''
}

t.test('an application in the layout of fastify/demo: the diff applies, and answers stay as they were', async t => {
  const [before, after] = [copied(t, 'autoload'), copied(t, 'autoload')]
  const { code, stdout, stderr } = await init(after, 'app.js')
  t.equal(code, 0, stderr)
  t.match(stderr, /plugins\/external\/rate-limit\.js:1: the values of @fastify\/rate-limit are those of this run/)
  const byGit = copied(t, 'autoload')
  const env = { ...process.env, GIT_CEILING_DIRECTORIES: root }
  execFileSync('git', ['apply', '--check', '-'], { cwd: byGit, input: stdout, env })
  execFileSync('git', ['apply', '-'], { cwd: byGit, input: stdout, env })
  execFileSync('patch', ['-p1', '--quiet'], { cwd: after, input: stdout })
  for (const name of ['cors', 'helmet', 'rate-limit']) t.notOk(existsSync(join(after, `plugins/external/${name}.js`)), `${name} is gone`)
  for (const name of ['app.js', 'plugins/external/secure-api.js', 'routes/home.js', 'routes/api/notes/index.js']) {
    t.equal(readFileSync(join(byGit, name), 'utf8'), readFileSync(join(after, name), 'utf8'), `${name} is the same by git`)
  }
  t.match(readFileSync(join(after, 'plugins/external/secure-api.js'), 'utf8'), "origins: ['https://notes.example.com']")
  t.match(readFileSync(join(after, 'routes/api/notes/index.js'), 'utf8'), "config: { rateLimit: { limit: 30, window: '1 minute' } }")
  const [old, young] = [await started(t, before), await started(t, after)]
  t.strictSame(await answers(young, ''), await answers(old, ''), 'strangers')
  for (const [name, password] of [['alice', 'a-password'], ['bob', 'b-password'], ['carol', 'c-password']] as const) {
    const [now, then] = [await session(t, young, name, password), await session(t, old, name, password)]
    t.strictSame(await answers(young, now), await answers(old, then), name)
  }
  const { headers } = await young.inject({ url: '/', headers: { origin: 'https://notes.example.com' } })
  t.equal(headers['access-control-allow-origin'], 'https://notes.example.com')
  t.match(headers['content-security-policy'], "img-src 'self' data:")
  const check = await run(after, ['routes', 'app.js', '--check'])
  t.match(check.stdout, /10 routes: 10 open/, 'whoever is let in is decided by the application, and the check says so')
})
