import t from 'tap'
import { answersOf, bearer, secured, startIssuer } from '../helpers/server.ts'

t.test('functions of the options that throw are in the log under one code, and let nobody through', async t => {
  const issuer = await startIssuer(t)
  const lines: Array<Record<string, unknown>> = []
  const broken = () => { throw new Error('it is broken') }
  const window = '1 minute'
  const { app } = await secured(t, issuer, {
    fastify: { logger: { level: 'warn', stream: { write: (line: string) => { lines.push(JSON.parse(line)) } } } },
    suite: {
      authorization: { policies: { mine: broken } },
      rateLimit: {
        policies: {
          costly: { limit: 1, window, cost: broken },
          parted: { limit: 1, window, by: broken },
          planned: { limit: 1, window, plans: { free: { limit: 1 } }, plan: broken },
          unplanned: { limit: 1, window, plans: { free: { limit: 1 } }, plan: () => 'gold' }
        }
      }
    },
    routes: app => {
      app.get('/mine', { config: { policy: 'mine' } }, async () => '')
      for (const policy of ['costly', 'parted', 'planned', 'unplanned']) {
        app.get(`/${policy}`, { config: { authenticated: true, rateLimit: [policy] } }, async () => '')
      }
    }
  })
  const limited = [429, 'SECURE_API_RATE_LIMITED']
  const ask = async (path: string, answer: unknown, names: string[]) => {
    lines.length = 0
    t.strictSame(await answersOf(app, { url: path, headers: bearer(issuer) }), [answer], path)
    const noted = lines.filter(({ code }) => code === 'SECURE_API_FUNCTION_FAILED')
    t.strictSame(noted.map(line => line.function), names, path)
  }
  await ask('/mine', [403, 'SECURE_API_FORBIDDEN'], ['policy'])
  await ask('/costly', limited, ['cost'])
  await ask('/parted', 200, ['partition'])
  await ask('/planned', limited, ['plan', 'plan'])
  await ask('/unplanned', limited, ['plan'])
})
