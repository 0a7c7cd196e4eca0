import 'reflect-metadata'
import { Controller, ForbiddenException, Get, Injectable, Module, UnauthorizedException, UseGuards } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { FastifyAdapter } from '@nestjs/platform-fastify'
import { ThrottlerGuard, ThrottlerModule } from '@nestjs/throttler'
import helmet from '@fastify/helmet'
import jsonwebtoken from 'jsonwebtoken'
import { JwksClient } from 'jwks-rsa'
import { order } from './order.mjs'

/**
 * NestJS on its Fastify adapter, with the throttler of its pages, and jsonwebtoken with jwks-rsa as its authentication
 * recipes use them. Decorators are called by hand, since nothing here is compiled.
 */
export async function start (setting) {
  const app = await NestFactory.create(moduleOf(setting), new FastifyAdapter(),
    { logger: false, cors: { origin: [setting.origin], exposedHeaders: ['retry-after'] } })
  await app.register(helmet)
  await app.listen(0, '127.0.0.1')
  return { port: app.getHttpServer().address().port, close: () => app.close() }
}

function moduleOf (setting) {
  const controller = controllerOf([ThrottlerGuard, authenticationOf(setting), principalLimit(setting), scopeOf(setting)])
  class OrdersModule {}
  Module({
    imports: [ThrottlerModule.forRoot([{ name: 'address', ttl: 60_000, limit: setting.addressLimit }])],
    controllers: [controller]
  })(OrdersModule)
  return OrdersModule
}

function controllerOf (guards) {
  class OrdersController {
    list () {
      return order
    }
  }
  const method = Object.getOwnPropertyDescriptor(OrdersController.prototype, 'list')
  Get()(OrdersController.prototype, 'list', method)
  UseGuards(...guards)(OrdersController.prototype, 'list', method)
  Controller('orders')(OrdersController)
  return OrdersController
}

function authenticationOf ({ issuer, audience, jwksUri, algorithm }) {
  const client = new JwksClient({ jwksUri, cache: true })
  const key = ({ kid }, done) => client.getSigningKey(kid).then(found => done(null, found.getPublicKey()), done)
  const verify = token => new Promise((resolve, reject) => {
    jsonwebtoken.verify(token, key, { issuer, audience, algorithms: [algorithm] }, (error, claims) => error
      ? reject(error)
      : resolve(claims))
  })
  class AuthenticationGuard {
    async canActivate (context) {
      const request = context.switchToHttp().getRequest()
      const [type, token] = request.headers.authorization?.split(' ') ?? []
      if (type !== 'Bearer') throw new UnauthorizedException()
      request.user = await verify(token).catch(() => { throw new UnauthorizedException() })
      return true
    }
  }
  Injectable()(AuthenticationGuard)
  return AuthenticationGuard
}

/** The throttler counts by route and tracker, so that a tracker of its own keeps the two budgets apart. */
function principalLimit ({ limit }) {
  class PrincipalThrottlerGuard extends ThrottlerGuard {
    async getTracker (request) {
      return `principal-${request.user.sub}`
    }

    async handleRequest (properties) {
      return await super.handleRequest({ ...properties, limit })
    }
  }
  Injectable()(PrincipalThrottlerGuard)
  return PrincipalThrottlerGuard
}

function scopeOf ({ scope }) {
  class ScopeGuard {
    canActivate (context) {
      if (!context.switchToHttp().getRequest().user.scope.split(' ').includes(scope)) throw new ForbiddenException()
      return true
    }
  }
  Injectable()(ScopeGuard)
  return ScopeGuard
}
