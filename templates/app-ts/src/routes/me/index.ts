import type { FastifyPluginAsync } from 'fastify'

const me: FastifyPluginAsync = async app => {
  app.get('/', { config: { authenticated: true } }, async ({ auth }) => ({ kind: auth.kind, subject: auth.subject, scopes: [...auth.scopes] }))
}

export default me
