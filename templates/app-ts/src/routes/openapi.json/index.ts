import type { FastifyPluginAsync } from 'fastify'

// if openapi
const description: FastifyPluginAsync = async app => {
  app.get('/', { config: { authenticated: true }, schema: { hide: true } }, async () => app.swagger())
}

export default description
