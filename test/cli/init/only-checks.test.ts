import t from 'tap'
import { judge } from '../../../cli/init/guards.ts'

function replaced (code: string, name = ''): boolean {
  return judge({ phase: 'onRequest', name, code }).replaced
}

const mere: readonly string[] = [
  'async request => { await request.jwtVerify() }',
  'async (request, reply) => { await request.jwtVerify(); }',
  'request => request.jwtVerify()',
  'async function authenticate (request) { return request.jwtVerify() }',
  'async authenticate (req, res) { return await req.jwtVerify() }',
  'async function (request, reply) { try { await request.jwtVerify() } catch (err) { reply.send(err) } }',
  'async (request, reply) => { try { await request.jwtVerify() } catch { return reply.code(401).send({ error: "no } token" }) } }',
  'async (request, reply) => { try { await request.jwtVerify() } catch (error) { request.log.warn(error); throw new Error("who?") } }'
]

const more: readonly string[] = [
  "async request => { await request.jwtVerify(); if (request.user['role'] !== 'admin') throw new Error('no') }",
  "async request => { await request.jwtVerify(); const { role } = request.user; if (role !== 'admin') throw new Error('no') }",
  "async request => { const payload = await request.jwtVerify(); if (payload.role !== 'admin') throw new Error('no') }",
  'async request => { await request.jwtVerify(); await checkTenant(request) }',
  'async request => { await request.jwtVerify({ onlyCookie: true }) }',
  "async request => { if (request.method === 'GET') return; await request.jwtVerify() }",
  'async request => { request.jwtVerify() }',
  'async request => { try { await request.jwtVerify() } catch {} }',
  'async request => { try { await request.jwtVerify() } catch (error) { request.log.warn(error) } }',
  'async (request, reply) => { try { await request.jwtVerify() } catch (error) { await apiKey(request) } }',
  'async (request, reply) => { try { await request.jwtVerify() } catch (error) { if (!request.headers.key) throw error } }',
  'async (request, reply) => { try { await request.jwtVerify() } catch (error) { reply.send(error) } await checkTenant(request) }',
  'async (request, reply) => { try { await request.jwtVerify() } catch (error) { throw error } finally { return } }',
  'async (request, reply) => { try { await request.jwtVerify() } catch (error) { return; throw error } }',
  'async (request, other) => { await other.jwtVerify() }',
  'async ({ jwtVerify }) => { await jwtVerify() }',
  'async (request, reply, done = tenant(request)) => { await request.jwtVerify() }',
  'async request => allowed(request) || request.jwtVerify()'
]

t.test('regression: a hook is taken away only if it does nothing but check the token', t => {
  for (const code of mere) {
    for (const name of ['', 'authenticate']) t.ok(replaced(code, name), `${name}: ${code}`)
  }
  for (const code of more) {
    for (const name of ['', 'authenticate', 'verifyJWT']) t.notOk(replaced(code, name), `${name}: ${code}`)
  }
  t.end()
})

t.test('regression: a name alone takes no hook away, and a call that may refuse is told', t => {
  for (const code of ['async request => { await sessions.assertOpen(request) }', 'async request => { await app.newTokenAuthenticate() }',
    'function () { [native code] }']) {
    for (const name of ['authenticate', 'isAuthenticated', 'x']) {
      t.strictSame(judge({ phase: 'onRequest', name, code }).demands, [{ kind: 'unknown' }], `${name}: ${code}`)
    }
  }
  t.strictSame(judge({ phase: 'onRequest', name: '', code: 'async request => { request.log.info(1) }' }).demands, [])
  t.end()
})
