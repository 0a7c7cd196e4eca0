import type { FastifyPluginAsync } from 'fastify'

const me: FastifyPluginAsync = async app => {
  app.get('/', { config: { authenticated: true } }, async ({ auth: { kind, subject, scopes } }) => {
    return { kind, subject, scopes: [...scopes] }
  })
}

export default me
