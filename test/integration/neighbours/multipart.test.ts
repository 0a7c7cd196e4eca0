import fastifyMultipart from '@fastify/multipart'
import t from 'tap'
import { beside, keepsGuard } from './app.ts'

t.test('@fastify/multipart takes uploads of callers, and reads nothing of strangers', async t => {
  let read = 0
  const running = await beside(t, async app => {
    await app.register(fastifyMultipart, { limits: { fileSize: 1000 } })
    app.post('/upload', { config: { scope: 'api' } }, async request => {
      const file = await request.file()
      const bytes = await file?.toBuffer()
      read += bytes?.length ?? 0
      return { name: file?.filename, size: bytes?.length }
    })
  })
  const upload = (size: number): RequestInit => {
    const body = new FormData()
    body.set('file', new Blob(['x'.repeat(size)]), 'a.txt')
    return { method: 'POST', body }
  }
  const answer = await keepsGuard(t, running, '/upload', () => upload(10))
  t.strictSame(JSON.parse(answer.body), { name: 'a.txt', size: 10 })
  t.equal(read, 20, 'only the two uploads of the caller were read')
  t.equal((await running.ask('/upload', { ...upload(2000), headers: running.caller })).status, 413)
  t.equal((await running.ask('/upload', {
    method: 'POST',
    body: '{}',
    headers: { ...running.caller, 'content-type': 'application/json' }
  })).status, 406)
})
