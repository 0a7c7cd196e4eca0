import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { pageOf } from '../../lib/config/index.ts'
import { warn } from '../../plugins/warn.ts'
import secureApi, { type SecureApiOptions } from '../../plugins/index.ts'

type Told = Error & { code?: string, detail?: string }

/** Warnings of the process while this test runs. */
function warnings (t: Test): Told[] {
  const told: Told[] = []
  const keep = (warning: Told) => { if (warning.name === 'SecureApiWarning') told.push(warning) }
  process.on('warning', keep)
  t.teardown(() => process.off('warning', keep))
  return told
}

const settled = async () => { await new Promise(resolve => setImmediate(resolve)) }
const quiet: SecureApiOptions = { auth: false, environment: 'development', audit: false, rateLimit: false }

const open = (app: FastifyInstance) => { app.get('/', { config: { public: true } }, async () => '') }

async function started (t: Test, options: SecureApiOptions, routes = open, server?: object): Promise<FastifyInstance> {
  const app = Fastify(server)
  t.teardown(() => app.close())
  await app.register(secureApi, options)
  routes(app)
  await app.ready()
  await settled()
  return app
}

t.test('17.1: without a logger a warning is one of the process, with its code and details', async t => {
  const told = warnings(t)
  const auth = { issuers: [{ issuer: 'http://127.0.0.1:9', audience: 'api://orders' }] }
  await started(t, { ...quiet, auth, hooksBefore: ['nobody'] }, app => { app.get('/orders', async () => []) })
  const byText = (text: RegExp) => told.filter(({ message }) => text.test(message))
  t.match(byText(/state no rule/)[0], { code: 'SECURE_API_ROUTE_NO_RULE', detail: '{"routes":["route GET /orders"]}' })
  t.match(byText(/cannot fetch the signing keys of http:\/\/127\.0\.0\.1:9; protected routes answer 503/)[0]?.message,
    /ECONNREFUSED.*Run `npx secure-api doctor issuer http:\/\/127\.0\.0\.1:9`/)
  t.match(byText(/hooksBefore/)[0], { code: 'SECURE_API_HOOKS_BEFORE_UNKNOWN' })
})

t.test('17.1: a misspelt route that was declared before the suite is told without a logger too, at its first request', async t => {
  const told = warnings(t)
  const app = Fastify()
  t.teardown(() => app.close())
  app.get('/bad', { config: { scopes: 'api.read' as never } }, async () => '')
  await app.register(secureApi, { ...quiet, auth: { issuers: [{ issuer: 'http://127.0.0.1:9', audience: 'api://orders' }] } })
  await app.ready()
  t.equal((await app.inject('/bad')).statusCode, 401)
  await settled()
  t.match(told.find(({ message }) => message.includes('/bad was declared before the suite')), { code: 'SECURE_API_OPTION_UNKNOWN' })
})

/** How a text ends for developers: with the page of its code, once. */
const page = (code: string) => `See ${pageOf(code)}`

t.test('17.8: a warning ends with the page of its code, once, in the log and on stderr', async t => {
  const told = warnings(t)
  const lines: string[] = []
  const logger = { level: 'warn', stream: { write: (line: string) => { lines.push(line) } } }
  const auth = { issuers: [{ issuer: 'http://127.0.0.1:9', audience: 'api://orders' }] }
  for (const server of [undefined, { logger }]) {
    await started(t, { ...quiet, auth, hooksBefore: ['nobody'] }, app => { app.get('/orders', async () => []) }, server)
  }
  const logged = lines.map(line => JSON.parse(line) as { msg: string, code: string })
  for (const code of ['SECURE_API_ROUTE_NO_RULE', 'SECURE_API_KEYS_UNAVAILABLE', 'SECURE_API_HOOKS_BEFORE_UNKNOWN']) {
    for (const text of [told.find(warning => warning.code === code)?.message, logged.find(line => line.code === code)?.msg]) {
      t.ok(text?.endsWith(page(code)), `${code}: ${text}`)
      t.equal(text?.split('See ').length, 2, code)
    }
  }
})

t.test('17.8: a code of others, and a warning without one, lead to no page of theirs', async t => {
  const told = warnings(t)
  const app = await started(t, quiet)
  warn(app, { code: 'ECONNREFUSED' }, 'of the network')
  warn(app, {}, 'of nobody')
  await settled()
  t.equal(told.find(({ code }) => code === 'ECONNREFUSED')?.message, 'of the network')
  t.equal(told.find(({ message }) => message.startsWith('of nobody'))?.message, `of nobody. ${page('SECURE_API_WARNING')}`)
})

t.test('17.1: each text is told once for each application', async t => {
  const told = warnings(t)
  for (const applications of [1, 2]) {
    const app = await started(t, { ...quiet, hooksBefore: ['nobody'] })
    warn(app, {}, 'the same once more')
    warn(app, {}, 'the same once more')
    await settled()
    t.equal(told.length, 2 * applications)
  }
})

t.test('17.1: a logger gets the warnings, whatever its level, and the process none', async t => {
  const told = warnings(t)
  for (const level of ['warn', 'error', 'silent']) {
    const lines: string[] = []
    const logger = { level, stream: { write: (line: string) => { lines.push(line) } } }
    await started(t, { ...quiet, hooksBefore: ['nobody'] }, open, { logger })
    t.equal(lines.some(line => line.includes('SECURE_API_HOOKS_BEFORE_UNKNOWN')), level === 'warn', level)
  }
  t.strictSame(told, [])
})

t.test('17.1: a warning never throws, and what is remembered of them has an end', async t => {
  const told = warnings(t)
  const app = await started(t, quiet)
  const before = told.length
  for (const code of [undefined, 7, null, {}]) {
    t.doesNotThrow(() => warn(app, { code, err: new Error('why') }, `code ${typeof code} ${String(code)}`))
  }
  for (let text = 0; text < 500; text++) warn(app, {}, `text ${text}`)
  await settled()
  t.match(told[before], { code: 'SECURE_API_WARNING', detail: '{"err":"why"}' })
  t.ok(told.length <= 100, `${told.length} warnings`)
})
