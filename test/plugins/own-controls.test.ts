import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import t from 'tap'
import secureApi, { ConfigurationError, ownRefusal, routeOption, type Control } from '../../plugins/index.ts'

const closed = ownRefusal({ code: 'SHOP_CLOSED', status: 503, detail: 'Closed.' })

/** Closes routes that say `shop: 'closed'`. */
const shop: Control<boolean> = {
  name: 'shop',
  phase: 'guard',
  option: routeOption<string, boolean>({
    key: 'shop',
    schema: Type.Union([Type.Literal('open'), Type.Literal('closed')]),
    refine: stated => stated === 'closed'
  }),
  compile: ({ own }) => own ? { hook: 'preHandler', handler: () => closed } : undefined
}

async function appWith (controls: readonly unknown[], config: object = {}) {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(secureApi, { auth: false, audit: false, controls: controls as Control[] })
  app.get('/x', { config: { public: true, ...config } }, async () => 'x')
  return app
}

async function mistakesOf (start: () => Promise<unknown>): Promise<string[]> {
  try {
    await start()
  } catch (error) {
    if (error instanceof ConfigurationError) return error.errors.map(({ code, path }) => `${code} ${path}`)
    throw error
  }
  return []
}

t.test('a control of the application guards by its own route option', async t => {
  t.equal((await (await appWith([shop])).inject('/x')).statusCode, 200)
  const refused = await (await appWith([shop], { shop: 'closed' })).inject('/x')
  t.equal(refused.statusCode, 503)
  t.match(refused.json(), { code: 'SHOP_CLOSED', status: 503, detail: 'Closed.' })
  t.match(refused.headers, { 'cache-control': /no-store/, 'x-content-type-options': 'nosniff' })
})

t.test('its option is checked as those of the suite are: wrong values and slips stop the boot', async t => {
  const ready = async (config: object) => await (await appWith([shop], config)).ready()
  t.strictSame(await mistakesOf(() => ready({ shop: 'ajar' })), ['SECURE_API_OPTION_VALUE route GET /x: config.shop'])
  t.strictSame(await mistakesOf(() => ready({ shops: 'open' })), ['SECURE_API_OPTION_UNKNOWN route GET /x: config.shops'])
})

t.test('a control that is none, or that takes what is the suite\'s, stops the boot', async t => {
  const mistakes = (...controls: unknown[]) => mistakesOf(() => appWith(controls))
  t.strictSame(await mistakes({ ...shop, phase: 'edge' }), ['SECURE_API_OPTION_VALUE controls[0].phase'])
  t.strictSame(await mistakes({ ...shop, phase: 'audit' }), ['SECURE_API_OPTION_VALUE controls[0].phase'])
  t.strictSame(await mistakes({ ...shop, name: '' }), ['SECURE_API_OPTION_EMPTY controls[0].name'])
  t.strictSame(await mistakes({ ...shop, compile: 'x' }), ['SECURE_API_OPTION_TYPE controls[0].compile'])
  t.strictSame(await mistakes({ ...shop, before: true }), ['SECURE_API_OPTION_UNKNOWN controls[0].before'])
  t.strictSame(await mistakes({ ...shop, name: 'headers' }), ['SECURE_API_ALREADY_REGISTERED headers'])
  t.strictSame(await mistakes(shop, shop), ['SECURE_API_ALREADY_REGISTERED shop'])
  const greedy = { ...shop, option: routeOption({ key: 'rateLimit', schema: Type.Any(), refine: () => undefined }) }
  t.strictSame(await mistakes(greedy), ['SECURE_API_OPTION_CONFLICT controls[0].option'])
})

t.test('a refusal of one\'s own has a code of one\'s own, and refuses', t => {
  t.throws(() => ownRefusal({ code: 'SECURE_API_FORBIDDEN', status: 403, detail: 'x' }), TypeError)
  t.throws(() => ownRefusal({ code: 'closed', status: 503, detail: 'x' }), TypeError)
  for (const status of [200, 302, 399, 600]) t.throws(() => ownRefusal({ code: 'SHOP_CLOSED', status, detail: 'x' }), TypeError)
  t.end()
})
