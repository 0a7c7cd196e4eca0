import { PassThrough } from 'node:stream'
import Fastify, { type FastifyServerOptions } from 'fastify'
import t from 'tap'
import { secureServer } from '../../../lib/server/index.ts'
import { listen, sendRaw } from '../../helpers/server.ts'

interface Line { readonly req?: { url?: string, method?: string, own?: string }, readonly msg?: string }

async function logged (t: { teardown: (fn: () => unknown) => void }, logger: object, route: object = {},
  options: FastifyServerOptions = {}): Promise<Line[]> {
  const stream = new PassThrough()
  const app = Fastify({ ...secureServer({ dangerouslyAllowPlaintext: true }), ...options, logger: { ...logger, stream } })
  t.teardown(() => app.close())
  app.get('/orders', route, async () => '')
  await app.inject('/orders?access_token=secret&page=2#x')
  await sendRaw(await listen(app), 'GET /%zz?access_token=secret HTTP/1.1', 'Host: a', 'Connection: close', '', '')
  return String(stream.read()).split('\n').filter(line => line !== '').map(line => JSON.parse(line))
}

t.test('15 B7: query values do not reach the request log of secureServer()', async t => {
  for (const [name, logger, route] of [['as it is', {}, {}], ['another level at the route', {}, { logLevel: 'debug' }],
    ['serializers of other things', { serializers: { user: () => 'x' } }, {}]] as const) {
    const lines = await logged(t, logger, route)
    t.match(lines.filter(({ req }) => req !== undefined), [{ req: { url: '/orders', method: 'GET' } }, { req: { url: '/%zz' } }], name)
    t.notMatch(JSON.stringify(lines), /access_token|secret/, name)
  }
})

t.test('a serializer of the application logs what it wants', async t => {
  const own = { req: ({ url }: { url: string }) => ({ own: url }) }
  const [first] = await logged(t, { serializers: own })
  t.equal(first?.req?.own, '/orders?access_token=secret&page=2')
})
