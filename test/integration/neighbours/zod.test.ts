import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod'
import t from 'tap'
import { z } from 'zod'
import { beside, keepsGuard } from './app.ts'

t.test('fastify-type-provider-zod validates what callers send, and nothing of strangers', async t => {
  const seen: unknown[] = []
  const running = await beside(t, app => {
    app.setValidatorCompiler(validatorCompiler)
    app.setSerializerCompiler(serializerCompiler)
    app.withTypeProvider<ZodTypeProvider>().route({
      method: 'POST',
      url: '/orders',
      config: { scope: 'api' },
      schema: {
        body: z.object({ item: z.string().refine(item => seen.push(item) > 0) }),
        response: { 200: z.object({ item: z.string() }) }
      },
      handler: async ({ body }) => ({ ...body, secret: 'not in the schema' })
    })
  })
  const post = (body: object): RequestInit => ({
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json' }
  })
  const answer = await keepsGuard(t, running, '/orders', () => post({ item: 'tea' }))
  t.strictSame([answer.body, seen], ['{"item":"tea"}', ['tea', 'tea']])
  const wrong = await running.ask('/orders', { ...post({ item: 7 }), headers: { 'content-type': 'application/json', ...running.caller } })
  t.strictSame([wrong.status, JSON.parse(wrong.body).code], [400, 'SECURE_API_REQUEST_INVALID'])
  t.equal((await running.ask('/orders', post({ item: 7 }))).status, 401, 'a stranger is not told what is valid')
})

t.test('errors: throw leaves the error of zod and the refusal to the application', async t => {
  const { ask, caller } = await beside(t, app => {
    app.setErrorHandler((error: Error & { code?: string, statusCode?: number }, _request, reply) =>
      reply.code(error.statusCode ?? 500).send({ own: error.code }))
    app.setValidatorCompiler(validatorCompiler)
    app.setSerializerCompiler(serializerCompiler)
    app.withTypeProvider<ZodTypeProvider>().get('/orders',
      { config: { scope: 'api' }, schema: { querystring: z.object({ page: z.coerce.number() }) } }, async ({ query }) => query)
  }, { suite: { errors: 'throw' } })
  const own = async (headers: Record<string, string>, path: string) => JSON.parse((await ask(path, { headers })).body)
  t.strictSame(await own({}, '/orders?page=1'), { own: 'SECURE_API_UNAUTHENTICATED' })
  t.strictSame(await own({ ...caller }, '/orders?page=x'), { own: 'FST_ERR_VALIDATION' })
  t.strictSame(await own({ ...caller }, '/orders?page=1'), { page: 1 })
})
