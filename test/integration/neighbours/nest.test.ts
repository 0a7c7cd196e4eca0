import { createRequire } from 'node:module'
import type { MiddlewareConsumer, NestModule } from '@nestjs/common'
import type { NestFastifyApplication } from '@nestjs/platform-fastify'
import t, { type Test } from 'tap'
import secureApi, { type AuditEvent, type SecureApiOptions } from '../../../plugins/index.ts'
import { bearer, mistakesOf, startIssuer } from '../../helpers/server.ts'
import { asking, keepsGuard } from './app.ts'

// The test runner's loader adds a second `.js` to names that Nest imports of itself; `require` passes it by.
const require = createRequire(import.meta.url)
require('reflect-metadata')
const { Controller, Get, Module, Post } = require('@nestjs/common') as typeof import('@nestjs/common')
const { NestFactory } = require('@nestjs/core') as typeof import('@nestjs/core')
const { FastifyAdapter, RouteConfig } = require('@nestjs/platform-fastify') as typeof import('@nestjs/platform-fastify')

class OrdersController {
  all (): number[] { return [1] }
  add (): string { return 'added' }
  forgotten (): string { return 'forgotten' }
}

/** What `@Get()` above a method does, in a file whose types are only stripped. */
function route (name: 'all' | 'add' | 'forgotten', ...decorators: MethodDecorator[]): void {
  const descriptor = Object.getOwnPropertyDescriptor(OrdersController.prototype, name)
  if (descriptor !== undefined) for (const decorate of decorators) decorate(OrdersController.prototype, name, descriptor)
}

Controller('orders')(OrdersController)
route('all', Get(), RouteConfig({ scope: 'api' }))
route('add', Post(), RouteConfig({ role: 'admin' }))
route('forgotten', Get('forgotten'))

class AppModule {}
Module({ controllers: [OrdersController] })(AppModule)

class MiddlewareModule implements NestModule {
  configure (consumer: MiddlewareConsumer): void {
    consumer.apply((_request: unknown, response: { end (text: string): void }) => response.end('past the guard')).forRoutes('*path')
  }
}
Module({ controllers: [OrdersController] })(MiddlewareModule)

const issuer = await startIssuer(t)
const events: AuditEvent[] = []
const suite = {
  auth: { issuer: issuer.issuer, audience: issuer.audience },
  audit: { sink: event => { events.push(event) } },
  environment: 'development'
} as const satisfies SecureApiOptions

async function nest (t: Test, module = AppModule, options: Partial<SecureApiOptions> = {}): Promise<NestFastifyApplication> {
  const app = await NestFactory.create<NestFastifyApplication>(module, new FastifyAdapter(), { logger: false, abortOnError: false })
  t.teardown(() => app.close())
  await app.register(secureApi as never, { ...suite, ...options } as never)
  return app
}

const start = async (app: NestFastifyApplication): Promise<string> => {
  await app.listen(0, '127.0.0.1')
  return await app.getUrl()
}

t.test('Nest: a plain application boots, and its controllers are guarded by their config', async t => {
  const ask = asking(t, await start(await nest(t)))
  const caller = bearer(issuer, { scope: 'api' })
  const answer = await keepsGuard(t, { ask, caller, events }, '/orders')
  t.equal(answer.body, '[1]')
  t.strictSame([(await ask('/orders', { method: 'POST', headers: caller })).status,
    (await ask('/orders', { method: 'POST', headers: bearer(issuer, { roles: ['admin'] }) })).status], [403, 201])
  t.equal((await ask('/orders/forgotten', { headers: caller })).status, 403, 'a handler without a rule is closed')
  t.equal((await ask('/nowhere')).status, 404)
  t.strictSame([(await ask('/orders', { method: 'DELETE' })).status], [405])
})

t.test('14 A11: enableCors() of Nest beside our CORS stops the boot', async t => {
  const origins = { cors: { origins: ['https://app.example.com'] } }
  const app = await nest(t, AppModule, origins)
  app.enableCors()
  t.strictSame(await mistakesOf(() => start(app)), ['SECURE_API_CORS_DUPLICATE'])
  const own = await nest(t, AppModule, origins)
  t.strictSame(await mistakesOf(async () => { await start(own) }), [], 'ours alone')
})

t.test('14 A3: middleware of Nest stops the boot, unless it is accepted', async t => {
  const module = await nest(t, MiddlewareModule)
  t.strictSame(await mistakesOf(() => start(module)), ['SECURE_API_MIDDLEWARE_UNGUARDED'])
  const used = await nest(t)
  used.use((_request: unknown, _response: unknown, next: () => void) => next())
  t.strictSame(await mistakesOf(() => start(used)), ['SECURE_API_MIDDLEWARE_UNGUARDED'])
  const accepted = await nest(t, AppModule, { dangerouslyAllowMiddleware: true })
  accepted.use((_request: unknown, _response: unknown, next: () => void) => next())
  const ask = asking(t, await start(accepted))
  t.strictSame([(await ask('/orders')).status, (await ask('/orders', { headers: bearer(issuer, { scope: 'api' }) })).status], [401, 200])
})
