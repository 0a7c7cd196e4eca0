import Fastify from 'fastify'
import secureApi from '../../plugins/index.ts'

/** A process of its own with the suite on a shared Redis. `fork` it with the options as its argument; it sends its address. */
export interface LimitedProcessOptions {
  readonly issuer: string
  readonly audience: string
  readonly redis: string
}

const { issuer, audience, redis }: LimitedProcessOptions = JSON.parse(process.argv[2] ?? '{}')
const app = Fastify()
await app.register(secureApi, {
  auth: { issuer, audience },
  rateLimit: { redis, perAddress: { limit: 10_000, window: '1 minute' }, policies: { shared: { limit: 100, window: '1 minute' } } },
  audit: { sink: () => {} },
  environment: 'development'
})
app.get('/orders', { config: { scope: 'api.read', rateLimit: 'shared' } }, async () => '')
app.get('/status', { config: { public: true, rateLimit: false } }, async () => app.secureApi.status())
const url = await app.listen({ port: 0, host: '127.0.0.1' })
process.once('disconnect', () => { app.close() })
process.send?.(url)
