import cors from '@fastify/cors'
import helmet from '@fastify/helmet'
import jwt from '@fastify/jwt'
import rateLimit from '@fastify/rate-limit'

export default async function app (fastify, options) {
  await fastify.register(helmet)
  await fastify.register(cors, { origin: 'https://app.example.com' })
  await fastify.register(rateLimit, { max: 100, timeWindow: '1 minute' })
  await fastify.register(jwt, {
    secret: 'supersecret',
    sign: { iss: 'https://api.example.com', aud: 'api://orders', expiresIn: '10m' }
  })

  fastify.decorate('authenticate', async function (request, reply) {
    try {
      await request.jwtVerify()
    } catch (err) {
      reply.send(err)
    }
  })

  async function requireAdmin (request, reply) {
    if (request.user.role !== 'admin') return reply.code(403).send({ message: 'admins only' })
  }

  fastify.post('/login', async ({ body: { name, role } }) => {
    return { token: fastify.jwt.sign({ sub: name, role }) }
  })

  fastify.get('/orders', { onRequest: [fastify.authenticate] }, async () => [{ item: 'tea' }])

  fastify.delete('/orders/:id', {
    onRequest: [fastify.authenticate],
    preHandler: requireAdmin
  }, async request => ({ removed: request.params.id }))
}
