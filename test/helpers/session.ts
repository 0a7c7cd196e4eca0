import type { FastifyInstance, FastifyPluginAsync, FastifyRequest } from 'fastify'

type UntypedPlugin = FastifyPluginAsync<Readonly<Record<string, unknown>>>

/** Without its types: both session plugins declare `request.session`, each as its own. */
export async function pluginNamed (name: string): Promise<UntypedPlugin> {
  const { default: plugin } = await import(name) as { default: UntypedPlugin }
  return plugin
}

/** What the sessions of both plugins have. */
export interface Session {
  get (key: string): unknown
  set (key: string, value: unknown): void
}

export function sessionOf (request: FastifyRequest): Session {
  return (request as unknown as { session: Session }).session
}

const [cookie, session, secureSession] = await Promise.all(
  ['@fastify/cookie', '@fastify/session', '@fastify/secure-session'].map(pluginNamed)) as
  [UntypedPlugin, UntypedPlugin, UntypedPlugin]

/** Registers a session plugin, as an application does that awaits or does not. */
export type Sessions = (app: FastifyInstance) => PromiseLike<unknown>

export const sessionPlugins: Readonly<Record<string, Sessions>> = {
  '@fastify/session': app => {
    app.register(cookie)
    return app.register(session, { secret: 'the secret of a test, as long as needed', cookie: { secure: false } })
  },
  '@fastify/secure-session': app => app.register(secureSession, { key: Buffer.alloc(32, 7), cookie: { path: '/' } })
}

/** A route that signs in whoever is named: `POST /login/alice`. */
export function loginRoute (app: FastifyInstance, userOf: (name: string) => unknown = name => ({ id: name, roles: ['reader'] })): void {
  app.post<{ Params: { name: string } }>('/login/:name', { config: { public: true, rateLimit: false } }, async request => {
    sessionOf(request).set('user', userOf(request.params.name))
    return 'signed in'
  })
}

/** The cookie of a user who has signed in. */
export async function signIn (app: FastifyInstance, name = 'alice'): Promise<{ cookie: string }> {
  const { headers } = await app.inject({ method: 'POST', url: `/login/${name}` })
  return { cookie: String(headers['set-cookie']).split(';', 1)[0] ?? '' }
}
