import fastifyCompress from '@fastify/compress'
import t from 'tap'
import { beside, keepsGuard } from './app.ts'

const origin = 'https://app.example.com'

t.test('@fastify/compress: a gzip body has our headers, and the Vary of both', async t => {
  const running = await beside(t, async app => {
    await app.register(fastifyCompress, { threshold: 0 })
    app.get('/orders', { config: { scope: 'api' } }, async () => ({ text: 'x'.repeat(5000) }))
    app.get('/broken', { config: { scope: 'api' } }, async () => { throw new Error('broken') })
  }, { suite: { cors: { origins: [origin] } } })
  const { ask, caller } = running
  const answer = await keepsGuard(t, running, '/orders', () => ({ headers: { origin, 'accept-encoding': 'gzip' } }))
  t.strictSame([answer.headers['content-encoding'], JSON.parse(answer.body).text.length], ['gzip', 5000])
  t.strictSame(String(answer.headers.vary).toLowerCase().split(/, */).sort(), ['accept-encoding', 'origin'])
  t.equal(answer.headers['access-control-allow-origin'], origin)
  const plain = await ask('/orders', { headers: { ...caller, origin, 'accept-encoding': 'identity' } })
  t.strictSame([plain.headers['content-encoding'], plain.status], [undefined, 200])
  const broken = await ask('/broken', { headers: { ...caller, 'accept-encoding': 'gzip' } })
  t.strictSame([broken.status, broken.headers['cache-control']], [500, 'no-store, max-age=0'])
})
