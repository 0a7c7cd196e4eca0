import Fastify from 'fastify'
import secureApi from '../plugins/index.ts'

/** The smallest secured API. `issuer` and `audience` come from outside so that a test can use an issuer of its own. */
export async function minimal (issuer: string, audience: string) {
  const app = Fastify()
  await app.register(secureApi, {
    auth: { issuer, audience },
    cors: { origins: ['https://app.example.com'] }
  })

  app.get('/orders', { config: { scope: 'api.read' } }, async () => [{ id: '1', item: 'tea' }])
  app.post('/orders', { config: { scope: 'api.write' } }, async (_request, reply) => reply.code(201).send({ id: '2' }))
  app.get('/health', { config: { public: true } }, async () => ({ ok: true }))
  return app
}
