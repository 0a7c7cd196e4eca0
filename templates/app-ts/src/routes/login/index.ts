import type { FastifyPluginAsync } from 'fastify'
import { signIn } from '../../accounts.ts'

interface Credentials {
  user: string
  password: string
}

const credentials = {
  type: 'object',
  required: ['user', 'password'],
  additionalProperties: false,
  properties: { user: { type: 'string', minLength: 1, maxLength: 100 }, password: { type: 'string', minLength: 1, maxLength: 200 } }
}

const login: FastifyPluginAsync = async app => {
  if (!app.hasDecorator('jwt')) return app.log.info('no POST /login: LOGIN_KEY is not set')
  const guard = app.loginGuard()

  app.post<{ Body: Credentials }>('/', {
    config: { public: true, audit: 'login' },
    schema: { body: credentials }
  }, async (request, reply) => {
    const { user, password } = request.body
    const account = await guard(request, user, () => signIn(user, password))
    reply.header('cache-control', 'no-store')
    if (account === undefined) return reply.code(401).send({ error: 'wrong user or password' })
    return { access_token: app.jwt.sign({ sub: account.user, scope: account.scopes.join(' ') }), token_type: 'Bearer', expires_in: 900 }
  })
}

export default login
