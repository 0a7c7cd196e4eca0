import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { createServer as createHttp } from 'node:http'
import t, { type Test } from 'tap'
import type { AuditEvent } from '../../plugins/index.ts'
import { freePort } from '../helpers/free-port.ts'
import { program } from '../helpers/programs.ts'
import { recipe, recipeIssuer, runRecipe } from '../helpers/recipes.ts'
import { listen, listenBare, startFastify, until } from '../helpers/server.ts'
import { snippets } from '../helpers/snippets.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const { suite, token } = recipeIssuer()
const caller = (scope: string) => token({ iss: 'https://login.example.com', aud: 'api://orders', sub: 'alice', scope })

/** nginx with the block of the page, whose ports are replaced. */
async function startNginx (t: Test, ports: Readonly<Record<string, number>>): Promise<void> {
  const dir = t.testdir({})
  const page = snippets(root, 'docs/recipes/forward-auth.md').find(({ language }) => language === 'nginx')?.code ?? ''
  const block = page.replace(/\b(3000|4000|8080)\b/g, port => String(ports[port]))
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(name => `${name}_temp_path ${dir}/${name};`).join('\n')
  writeFileSync(`${dir}/nginx.conf`, `pid ${dir}/pid;\nevents {}\nhttp {\naccess_log off;\n${temporary}\n${block}\n}\n`)
  const settings = ['-p', dir, '-c', `${dir}/nginx.conf`, '-e', 'stderr', '-g', 'daemon off; master_process off;']
  const nginx = spawn(program({ names: ['nginx'], package: 'nginx' }), settings, { stdio: ['ignore', 'ignore', 'inherit'] })
  t.teardown(async () => {
    nginx.kill()
    if (nginx.exitCode === null) await once(nginx, 'exit')
  })
  await until(async () => await fetch(`http://127.0.0.1:${ports['8080']}/`).then(() => true, () => false), 'nginx')
}

t.test('19: docs/recipes/forward-auth.md: nginx asks, and each question is one event with the original method and host', async t => {
  const events: AuditEvent[] = []
  const app = startFastify(t, { forceCloseConnections: true })
  const sink = (event: AuditEvent) => { events.push(event) }
  const heard: typeof suite = options => suite({ ...options, audit: { ...options.audit || {}, sink } })
  await runRecipe(recipe('forward-auth')[0] ?? '', { app, suite: heard })
  const api = Number(new URL(await listen(app)).port)
  const seen: string[] = []
  const behind = await listenBare(t, createHttp((request, response) => {
    seen.push(`${request.method} ${request.url}`)
    response.end('the application')
  }))
  const port = await freePort()
  await startNginx(t, { 3000: api, 4000: behind, 8080: port })
  events.length = 0
  const ask = async (headers: Record<string, string>, method = 'GET') => {
    const response = await fetch(`http://127.0.0.1:${port}/orders/17?token=secret`,
      { method, headers: { ...headers, 'x-original-method': 'FORGED', 'x-original-host': 'forged' } })
    return [response.status, response.headers.get('www-authenticate')?.slice(0, 6), (await response.text()).includes('the application')]
  }
  t.strictSame(await ask({}), [401, 'Bearer', false])
  t.strictSame(await ask({ ...caller('other') }, 'DELETE'), [403, undefined, false])
  t.strictSame(await ask({ ...caller('orders.read') }), [200, undefined, true])
  await until(() => events.length >= 3, 'the events')
  t.strictSame(seen, ['GET /orders/17?token=secret'], 'the application behind is asked once')
  const originalHost = '127.0.0.1'
  const common = { action: 'forward-auth', route: '/authorize', method: 'GET' }
  t.match(events, [
    { ...common, status: 401, fields: { originalMethod: 'GET', originalHost } },
    { ...common, status: 403, principal: { subject: 'alice' }, fields: { originalMethod: 'DELETE', originalHost } },
    { ...common, status: 204, principal: { subject: 'alice' }, fields: { originalMethod: 'GET', originalHost } }
  ])
  t.equal(events.length, 3)
  t.notMatch(JSON.stringify(events), /secret|FORGED|forged|\/orders\/17/, 'no URL, and nothing that the caller wrote there')
})
