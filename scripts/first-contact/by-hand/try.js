import Fastify from 'fastify'
import app from './app.js'

// Starts the application on a free port, calls it as clients would, and ends it.
const server = Fastify({ logger: { level: 'warn' } })
await server.register(app)
const url = await server.listen({ host: '127.0.0.1', port: 0 })
try {
  const [user, admin] = [await signIn('user'), await signIn('admin')]
  await show('GET    /orders', '/orders', {})
  await show('GET    /orders    token of a user', '/orders', user)
  await show('DELETE /orders/1  token of a user', '/orders/1', { method: 'DELETE', ...user })
  await show('DELETE /orders/1  token of an admin', '/orders/1', { method: 'DELETE', ...admin })
} finally {
  await server.close()
}

async function signIn (role) {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(`${url}/login`, { method: 'POST', headers, body: JSON.stringify({ name: 'alice', role }) })
  return { headers: { authorization: `Bearer ${(await response.json()).token}` } }
}

async function show (title, path, options) {
  const response = await fetch(url + path, options)
  const body = await response.text()
  console.log(`${title.padEnd(38)} ${response.status}  ${body.length > 60 ? JSON.parse(body).code ?? '' : body}`)
}
