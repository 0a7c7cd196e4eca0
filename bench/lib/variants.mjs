import { spawnSync } from 'node:child_process'

/**
 * The servers, by the name that `--only` and the tables know. `module` is its file in `servers/`; `sends: false` is not
 * sent any token; `checked: false` refuses nothing; `remembers` is a
 * peer that keeps tokens it verified; `setting` differs from that of the others; `missing` says what the machine lacks for it.
 * @typedef {{ readonly title: string, readonly module: string, readonly sends?: false, readonly checked?: false, readonly remembers?: true,
 *   readonly setting?: object, readonly missing?: string }} Variant
 */

const gateway = spawnSync('haproxy', ['-v']).status === 0 ? undefined : { missing: 'haproxy is not on the PATH' }

/** @type {Readonly<Record<string, Variant>>} */
export const variants = Object.freeze({
  bare: { title: 'bare Fastify, no token sent', module: 'bare', sends: false, checked: false },
  'bare+token': { title: 'bare Fastify, token sent and ignored', module: 'bare', checked: false },
  suite: { title: 'fastify-secure-api, in any `Fastify()`', module: 'suite' },
  'suite+server': { title: 'fastify-secure-api, in `secureServer()`', module: 'suite-server' },
  'suite:pino': { title: 'in any `Fastify()`, audit through pino', module: 'suite', setting: { audit: 'pino' } },
  'suite+server:pino': {
    title: 'in `secureServer()`, audit through pino',
    module: 'suite-server',
    setting: { audit: 'pino' }
  },
  'suite:chain': { title: 'in any `Fastify()`, audit to a chained file', module: 'suite', setting: { audit: 'chain' } },
  'suite+server:chain': {
    title: 'in `secureServer()`, audit to a chained file',
    module: 'suite-server',
    setting: { audit: 'chain' }
  },
  'suite+server:metrics': {
    title: 'in `secureServer()`, metrics by the SDK of OpenTelemetry',
    module: 'suite-server',
    setting: { metrics: true }
  },
  official: { title: 'official plugins, composed by hand', module: 'official', remembers: true },
  'fastify-jwt-jwks': { title: 'the same with fastify-jwt-jwks', module: 'fastify-jwt-jwks', remembers: true },
  express: { title: 'Express 5, express-oauth2-jwt-bearer', module: 'express' },
  hono: { title: 'Hono', module: 'hono' },
  nest: { title: 'NestJS', module: 'nest' },
  koa: { title: 'Koa, koa-jwt', module: 'koa' },
  haproxy: { title: 'HAProxy, answers by itself', module: 'haproxy', ...gateway },
  'haproxy+fastify': { title: 'HAProxy before bare Fastify', module: 'haproxy-fastify', ...gateway }
})

export const bare = 'bare'

/** @param {string} variant whether it is this project, however it is set */
export function isSuite (variant) {
  return variants[variant].module.startsWith('suite')
}
