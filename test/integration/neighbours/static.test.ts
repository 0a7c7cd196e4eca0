import fastifyStatic from '@fastify/static'
import t from 'tap'
import { beside, keepsGuard } from './app.ts'

/** Its routes belong to the plugin, and get a rule by their path. */
t.test('@fastify/static serves files behind a rule', async t => {
  const root = t.testdir({ 'page.html': '<p>page</p>', secret: { 'key.txt': 'key' }, '.hidden': 'hidden' })
  const running = await beside(t, async app => {
    await app.register(async files => {
      await files.register(fastifyStatic, { root, prefix: '/files/', dotfiles: 'deny' })
      files.get('/download', async (_request, reply) => reply.download('page.html', 'saved.html'))
    })
  }, { suite: { authorization: { routes: { '/files/*': { scope: 'api' }, '/download': { scope: 'api' } } } } })
  const { ask, caller } = running
  const file = await keepsGuard(t, running, '/files/page.html')
  t.strictSame([file.body, file.headers['content-type']], ['<p>page</p>', 'text/html; charset=utf-8'])
  t.match(file.headers, { etag: /./, 'accept-ranges': 'bytes' })
  const part = await ask('/files/page.html', { headers: { ...caller, range: 'bytes=0-2' } })
  t.strictSame([part.status, part.body], [206, '<p>'])
  t.match((await ask('/download', { headers: caller })).headers['content-disposition'], /saved\.html/)
  for (const path of ['/files/none.txt', '/files/secret', '/files/%2e%2e/app.ts']) {
    t.equal((await ask(path, { headers: caller })).status,
      404, path)
  }
  for (const path of ['/files/.hidden', '/files/..%2fapp.ts']) t.equal((await ask(path, { headers: caller })).status, 403, path)
  for (const path of ['/files/page.html', '/files/none.txt', '/files/.hidden', '/download']) {
    t.equal((await ask(path)).status, 401,
    `a stranger at ${path}`)
  }
  t.equal((await ask('/files/page.html', { method: 'DELETE', headers: caller })).status, 405)
})
