import swagger from '@fastify/swagger'
import Fastify from 'fastify'
import secureApi from '../../plugins/index.ts'
import { createTestIssuer } from '../../testing/index.ts'
const issuer = await createTestIssuer()
const app = Fastify()
await app.register(swagger, { openapi: { openapi: process.argv[2] ?? '3.0.3', info: { title: 'x', version: '1' } } })
await app.register(secureApi, { auth: { issuer: issuer.issuer, audience: issuer.audience }, environment: 'development' })
app.get('/a/:id', { config: { scope: { any: ['a', 'b'] } } }, () => 1)
app.get('/b', { config: { public: true } }, () => 1)
app.post('/c', {
  config: { scope: { all: ['a', 'b'] }, role: 'r' },
  schema: { response: { 403: { type: 'object', description: 'mine', properties: {} } } }
}, () => 1)
await app.ready()
console.log(app.swagger({ yaml: true }))
await app.close(); await issuer.close()
