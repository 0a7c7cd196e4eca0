import type { FastifyPluginAsync } from 'fastify'

const health: FastifyPluginAsync = async app => {
  app.get('/', { config: { public: true } }, async () => ({ ok: true }))
}

export default health
