import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { applicationFolder, init } from '../init-applications.ts'

/** What fastify-jwt-jwks 3 does to an application: its own @fastify/jwt, decorators, and names that it puts together. */
const jwtJwks = `'use strict'
const plugin = require('fastify-plugin')
const jwt = require('@fastify/jwt')

function fastifyJwtJwks (app, options, done) {
  const verifyName = options.namespace ? options.namespace + 'JwtVerify' : 'jwtVerify'
  delete options.secretsTtl
  const { origin } = new URL(options.jwksUrl.startsWith('https:') ? options.jwksUrl : 'https://' + options.jwksUrl)
  const verify = { ...options, algorithms: ['RS256', 'EdDSA'], allowedIss: options.issuer || origin + '/' }
  app.register(jwt, { verify, namespace: options.namespace, secret: (request, token, callback) => callback(new Error('no keys here')) })
  app.decorate(options.namespace ? options.namespace + 'Authenticate' : 'authenticate', async function authenticate (request) {
    try {
      await request[verifyName]()
    } catch (error) {
      throw Object.assign(new Error(error.message), { statusCode: 401 })
    }
  })
  done()
}

module.exports = plugin(fastifyJwtJwks, { name: 'fastify-jwt-jwks', fastify: '5.x' })
module.exports.default = fastifyJwtJwks
`

const packages = {
  'node_modules/fastify-jwt-jwks/package.json': '{ "name": "fastify-jwt-jwks", "main": "index.js" }',
  'node_modules/fastify-jwt-jwks/index.js': jwtJwks
}

const withJwtJwks = (options: string, more = '') => `import Fastify from 'fastify'
import jwtJwks from 'fastify-jwt-jwks'

export default async function build () {
  const server = Fastify()
  await server.register(jwtJwks, ${options})
${more}  server.get('/verify', { preValidation: server.authenticate }, async request => request.user)
  return server
}
`

t.test('fastify-jwt-jwks: issuer, audience, keys, algorithms and cache are carried over, and its hook is known', async t => {
  const app = withJwtJwks(`{
    jwksUrl: 'login.example.com/.well-known/jwks.json',
    audience: ['api://orders', 'api://admin'],
    secretsTtl: 3_600_000,
    cache: true,
    cacheTTL: 100
  }`)
  const folder = applicationFolder(t, { ...packages, 'app.js': app })
  const { code, stderr } = await init(folder, 'app.js', '--write')
  t.equal(code, 0, stderr)
  const plugin = readFileSync(join(folder, 'plugins/secure-api.js'), 'utf8')
  t.match(plugin, "issuer: 'https://login.example.com/'")
  t.match(plugin, "audience: ['api://orders', 'api://admin']")
  t.match(plugin, "jwksUri: 'https://login.example.com/.well-known/jwks.json'")
  t.match(plugin, "algorithms: ['RS256', 'EdDSA']")
  t.match(plugin, 'keys: { refresh: 3600000 }')
  t.match(stderr, /`cache` of the token plugin has no counterpart/)
  const text = readFileSync(join(folder, 'app.js'), 'utf8')
  t.match(text, "server.get('/verify', { config: { authenticated: true } }, async request => request.user)")
  t.notMatch(text, 'fastify-jwt-jwks')
})

t.test('fastify-jwt-jwks twice: the second provider and the hook that tries both are told', async t => {
  const app = withJwtJwks("{ jwksUrl: 'https://a.example.com/jwks', audience: 'a' }", `  await server.register(jwtJwks, {
    jwksUrl: 'https://b.example.com/jwks',
    audience: 'b',
    namespace: 'newToken'
  })
  server.get('/both', {
    preValidation: async function (request, reply) {
      try {
        await server.authenticate(request)
      } catch (error) {
        await server.newTokenAuthenticate(request)
      }
    }
  }, async request => request.user)
`)
  const { code, stderr } = await init(applicationFolder(t, { ...packages, 'app.js': app }), 'app.js')
  const told = stderr.replace(/\s+/g, ' ')
  t.equal(code, 1)
  t.match(told, /app\.js:7: fastify-jwt-jwks checks tokens too, and is not carried over/)
  t.match(told, /GET \/both: the hook `preValidation` refuses callers by rules of its own; it stays/)
})

const withGetJwks = (options: string, more = '') => `import jwt from '@fastify/jwt'
import Fastify from 'fastify'
import buildGetJwks from 'get-jwks'

const getJwks = buildGetJwks(${options})

export default async function build () {
  const fastify = Fastify()
  await fastify.register(jwt, {
    decode: { complete: true },${more}
    secret: (request, token, callback) => {
      const { header: { kid, alg }, payload: { iss } } = token
      getJwks.getPublicKey({ kid, domain: iss, alg }).then(key => callback(null, key), callback)
    }
  })
  fastify.addHook('onRequest', async (request, reply) => {
    await request.jwtVerify()
  })
  fastify.get('/orders', async () => [])
  return fastify
}
`

async function written (folder: string) {
  const { code, stderr } = await init(folder, 'app.js', '--write')
  const [plugin = '', app = ''] = ['plugins/secure-api.js', 'app.js'].map(name => readFileSync(join(folder, name), 'utf8'))
  return { code, stderr, told: stderr.replace(/\s+/g, ' '), plugin, app }
}

t.test('get-jwks: the issuer that it allows, the place of the keys, their cache and the algorithms', async t => {
  const app = withGetJwks("{ max: 100, ttl: 60 * 1000, issuersWhitelist: ['https://login.example.com'] }",
    "\n    verify: { algorithms: ['RS256', 'HS256'], allowedAud: 'api://orders' },")
  const { code, plugin, told, app: text } = await written(applicationFolder(t, { 'app.js': app }))
  t.equal(code, 0, told)
  t.match(plugin, "issuer: 'https://login.example.com'")
  t.match(plugin, "audience: 'api://orders'")
  t.match(plugin, "jwksUri: 'https://login.example.com/.well-known/jwks.json'")
  t.match(plugin, "algorithms: ['RS256']")
  t.match(plugin, 'refresh: 60000')
  t.match(text, "fastify.get('/orders', { config: { authenticated: true } }")
  t.notMatch(text, 'jwtVerify')
})

t.test('get-jwks with discovery, and without any issuer: the metadata is looked up, and the issuer must be set', async t => {
  const found = await written(applicationFolder(t, {
    'app.js': withGetJwks("{ providerDiscovery: true, issuersWhitelist: ['https://login.example.com'] }")
  }))
  t.match(found.plugin, "issuer: 'https://login.example.com'")
  t.notMatch(found.plugin, 'jwksUri')
  const any = await written(applicationFolder(t, { 'app.js': withGetJwks('') }))
  t.match(any.plugin, 'SECURE_API_ISSUER: issuer')
  t.match(any.told, /fetched keys from whatever issuer a token names/)
})

t.test('get-jwks: several issuers, and options that cannot be read, are told', async t => {
  const several = await written(applicationFolder(t, {
    'app.js': withGetJwks("{ issuersWhitelist: ['https://a.example.com', 'https://b.example.com'], checkIssuer: issuer => issuer !== '' }")
  }))
  t.equal(several.code, 1)
  t.match(several.told, /several issuers were accepted: write each in `auth.issuers`/)
  t.match(several.told, /`checkIssuer` of get-jwks cannot be read/)
})
