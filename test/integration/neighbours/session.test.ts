import fastifyCookie from '@fastify/cookie'
import fastifySession from '@fastify/session'
import t from 'tap'
import { beside, keepsGuard } from './app.ts'

declare module 'fastify' {
  interface Session { visits?: number }
}

t.test('@fastify/session beside tokens: a session opens no route that needs a token', async t => {
  const running = await beside(t, async app => {
    await app.register(fastifyCookie)
    await app.register(fastifySession, { secret: 'a secret of more than thirty-two characters', cookie: { secure: false } })
    app.get('/page', { config: { public: true } }, async ({ session }) => {
      session.visits = (session.visits ?? 0) + 1
      return { visits: session.visits }
    })
    app.get('/orders', { config: { scope: 'api' } }, async ({ auth, session }) => ({ subject: auth.subject, visits: session.visits }))
  })
  const { ask, caller } = running
  const first = await ask('/page')
  const [cookie = ''] = String(first.headers['set-cookie']).split(';')
  t.match(cookie, /^sessionId=/)
  t.equal((await ask('/page', { headers: { cookie } })).body, '{"visits":2}')
  t.equal((await ask('/orders', { headers: { cookie } })).status, 401)
  const answer = await keepsGuard(t, running, '/orders', () => ({}))
  t.notOk(answer.body.includes('visits'))
  t.match(JSON.parse((await ask('/orders', { headers: { ...caller, cookie } })).body), { visits: 2 })
  t.equal((await ask('/orders', { headers: { authorization: `Bearer ${cookie}` } })).code, 'SECURE_API_CREDENTIAL_AMBIGUOUS')
})
