import { initTRPC } from '@trpc/server'
import { fastifyTRPCPlugin, type CreateFastifyContextOptions } from '@trpc/server/adapters/fastify'
import t from 'tap'
import { beside, keepsGuard } from './app.ts'

const trpc = initTRPC.context<{ subject: string | undefined }>().create()
const router = trpc.router({
  whoami: trpc.procedure.query(({ ctx }) => ctx.subject),
  echo: trpc.procedure.input((value: unknown) => String(value)).mutation(({ input }) => input),
  broken: trpc.procedure.query(() => { throw new Error('broken') })
})

/** The adapter declares one route for all procedures, which gets a rule by its path. */
t.test('@trpc/server: a router stands behind a rule', async t => {
  const running = await beside(t, async app => {
    await app.register(fastifyTRPCPlugin, {
      prefix: '/trpc',
      trpcOptions: { router, createContext: ({ req }: CreateFastifyContextOptions) => ({ subject: req.auth.subject }), onError () {} }
    })
  }, { suite: { authorization: { routes: { '/trpc/*': { scope: 'api' } } } } })
  const { ask, caller } = running
  const answer = await keepsGuard(t, running, '/trpc/whoami')
  t.match(JSON.parse(answer.body), { result: { data: /./ } })
  const json = { ...caller, 'content-type': 'application/json' }
  t.match(JSON.parse((await ask('/trpc/echo', { method: 'POST', body: '"tea"', headers: json })).body), { result: { data: 'tea' } })
  t.strictSame((await ask('/trpc/whoami,whoami?batch=1', { headers: caller })).status, 200)
  t.equal((await ask('/trpc/broken', { headers: caller })).status, 500)
  t.equal((await ask('/trpc/none', { headers: caller })).status, 404)
  for (const path of ['/trpc/echo', '/trpc/none', '/trpc/whoami,whoami?batch=1']) {
    t.equal((await ask(path, { method: 'POST' })).status,
      401, path)
  }
})
