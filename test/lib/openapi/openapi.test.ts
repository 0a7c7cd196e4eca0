import { createRequire } from 'node:module'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import {
  basePaths, secureDocument, templateOf, toYaml, type DocumentOptions, type Fields,
  type RouteFacts
} from '../../../lib/openapi/index.ts'

const require = createRequire(import.meta.url)
/** The reader and the templates that @fastify/swagger itself has. */
const swagger = createRequire(require.resolve('@fastify/swagger'))
const yaml = swagger('yaml') as { parse: (text: string) => unknown }
const { formatParamUrl } = swagger('./lib/util/format-param-url') as { formatParamUrl: (url: string) => string }

const options: DocumentOptions = { bearer: 'bearerAuth', openIdConnect: [], responses: true, bodies: true, authenticates: true }
const oidc = (...names: string[]) => names.map(name => `https://${name}.example/.well-known/openid-configuration`)
const steps = ['rate-limit:address', 'authentication', 'rate-limit:route', 'authorization:guard']

function operationOf (facts: RouteFacts, {
  version = '3.1.0',
  ...more
}: Partial<DocumentOptions> & { version?: string } = {}): Fields & { responses: Record<string, Fields> } {
  const document = { openapi: version, paths: { '/': { get: { responses: { 200: { description: 'yes' } } } } } }
  const { paths } = secureDocument(document, () => facts, { ...options, ...more }) as {
    paths: Record<string, Record<string,
    Fields & { responses: Record<string, Fields> }>>
  }
  return paths['/']?.get ?? { responses: {} }
}

const securityOf = (access: RouteFacts['access'], more?: Parameters<typeof operationOf>[1]) => operationOf({ access, steps }, more).security

t.test('templates are those of @fastify/swagger', async t => {
  for (const url of ['/', '/a/:id', '/a/:id/b/:other', '/a/:id(^\\d+$)', '/a/:id(^(?:x|(y))$)/b', '/a/:file(^\\w+).png',
    '/:hour(^\\d{2})h:minute(^\\d{2})m', '/a::b', '/a/*', '/a/:id?', '/near/:lat-:lng/r']) {
    t.equal(templateOf(url), formatParamUrl(url), url)
  }
})

t.test('base paths are those of the servers', async t => {
  t.strictSame(basePaths({
    servers: [{ url: 'https://a.example' }, { url: '/v1' }, { url: 'https://a.example/api/v2' },
      { url: 'http://[' }, {}]
  }), ['', '/v1', '/api/v2'])
  t.strictSame(basePaths({}), [''])
})

t.test('scopes become an or of ands', async t => {
  t.strictSame(securityOf({ scope: 'a' }), [{ bearerAuth: ['a'] }])
  t.strictSame(securityOf({ scope: { all: ['a', 'b'] } }), [{ bearerAuth: ['a', 'b'] }])
  t.strictSame(securityOf({ scope: { any: ['a', 'b'] } }), [{ bearerAuth: ['a'] }, { bearerAuth: ['b'] }])
  t.strictSame(securityOf({ role: 'admin' }), [{ bearerAuth: [] }])
  t.strictSame(securityOf('authenticated'), [{ bearerAuth: [] }])
  t.strictSame(securityOf('public'), [])
})

t.test('OpenAPI 3.0 has no scopes on a bearer scheme, and has them on openIdConnect', async t => {
  const more = { version: '3.0.3', openIdConnect: oidc('one', 'two') }
  t.strictSame(securityOf({ scope: { any: ['a', 'b'] } }, more), [
    { bearerAuth: [] },
    { openIdConnect: ['a'] }, { openIdConnect: ['b'] },
    { openIdConnect2: ['a'] }, { openIdConnect2: ['b'] }
  ])
  t.strictSame(securityOf('none', more), [{ bearerAuth: [] }, { openIdConnect: [] }, { openIdConnect2: [] }])
})

t.test('a scheme with the name of an authenticator describes its callers, and no token is promised where there are none', async t => {
  const securitySchemes = { session: { type: 'apiKey', in: 'cookie', name: 'sessionId' }, jwt: { type: 'mutualTLS' } }
  const documentOf = (access: RouteFacts['access'], more: Partial<DocumentOptions>) => {
    const document = { openapi: '3.1.0', components: { securitySchemes }, paths: { '/': { get: {} } } }
    const { components, paths } = secureDocument(document, () => ({ access, steps }), { ...options, ...more }) as {
      components: { securitySchemes: Fields }, paths: { '/': { get: Fields } }
    }
    return [Object.keys(components.securitySchemes), paths['/'].get.security]
  }
  const stated = Object.keys(securitySchemes)
  t.strictSame(documentOf('authenticated', { credentials: ['session'] }), [stated, [{ session: [] }]])
  t.strictSame(documentOf('optional', { credentials: ['session'] }), [stated, [{}, { session: [] }]])
  t.strictSame(documentOf('public', { credentials: ['session'] }), [stated, []])
  const both = { credentials: ['jwt', 'session'] }
  t.strictSame(documentOf({ scope: 'a' }, both), [[...stated, 'bearerAuth'], [{ bearerAuth: ['a'] }, { session: ['a'] }]])
  t.strictSame(documentOf({ credential: 'session' }, both), [[...stated, 'bearerAuth'], [{ session: [] }]])
  t.strictSame(documentOf({ credential: 'jwt' }, both), [[...stated, 'bearerAuth'], [{ bearerAuth: [] }]])
  const keys = { credentials: ['api-key', 'session', 'certificate'], apiKeyHeader: 'x-api-key' }
  t.strictSame(documentOf('authenticated', keys), [[...stated, 'apiKey'], [{ apiKey: [] }, { session: [] }]])
  t.strictSame(documentOf({ credential: 'certificate' }, { credentials: ['session', 'certificate'] }), [stated, [{ session: [] }]],
    'never described as public')
})

t.test('API keys are another way, and the only one where no caller has a token or the route takes none', async t => {
  const more = { credentials: ['jwt', 'api-key', 'session'], apiKeyHeader: 'x-api-key' }
  t.strictSame(securityOf({ scope: 'a' }, more), [{ bearerAuth: ['a'] }, { apiKey: ['a'] }])
  t.strictSame(securityOf({ scope: 'a' }, { ...more, version: '3.0.3' }), [{ bearerAuth: [] }, { apiKey: [] }])
  t.strictSame(securityOf({ credential: 'api-key' }, more), [{ apiKey: [] }])
  t.strictSame(securityOf({ credential: ['jwt', 'session'] }, more), [{ bearerAuth: [] }])
  t.strictSame(securityOf('authenticated', { ...more, credentials: ['api-key'] }), [{ apiKey: [] }])
  t.strictSame(securityOf('optional', more), [{}, { bearerAuth: [] }, { apiKey: [] }])
  t.strictSame(securityOf('public', more), [])
  t.not((securityOf({ credential: 'session' }, more) as unknown[]).length, 0, 'never described as public')
  t.not((securityOf({ credential: 'session' }, { ...more, credentials: ['api-key', 'session'] }) as unknown[]).length, 0)
  const mine = { type: 'apiKey', in: 'header', name: 'x-other' }
  const { components } = secureDocument({ openapi: '3.1.0', components: { securitySchemes: { apiKey: mine } }, paths: {} }, () => undefined,
    { ...options, ...more }) as { components: Fields }
  t.match(components.securitySchemes, { apiKey: mine, apiKey2: { type: 'apiKey', in: 'header', name: 'x-api-key' } })
})

t.test('a scheme that is there already is used when it is the same, and never replaced', async t => {
  const mine = { type: 'http', scheme: 'bearer', description: 'mine' }
  const [one = '', two = ''] = oidc('one', 'two')
  const stated = { bearerAuth: mine, openIdConnect: { type: 'openIdConnect', openIdConnectUrl: two } }
  const { components } = secureDocument({ openapi: '3.1.0', components: { securitySchemes: stated }, paths: {} }, () => undefined,
    { ...options, openIdConnect: [one, two] }) as { components: Fields }
  t.strictSame(components.securitySchemes, { ...stated, openIdConnect2: { type: 'openIdConnect', openIdConnectUrl: one } })
})

t.test('each step adds the answers that it gives', async t => {
  const statuses = (...steps: string[]) => Object.keys(operationOf({ access: 'public', steps }).responses)
  t.strictSame(statuses(), ['200'])
  t.strictSame(statuses('rate-limit:address'), ['200', '429'])
  t.strictSame(statuses('authentication'), ['200', '400', '401', '503'])
  t.strictSame(statuses('authorization:guard'), ['200', '401', '403'])
})

t.test('a 403 says what is needed, and shows the challenge that is sent', async t => {
  const { responses } = operationOf({ access: { scope: { any: ['a', 'b'] }, role: 'admin', policy: { all: ['p', 'q'] } }, steps })
  const { description, headers } = responses[403] as { description: string, headers: Record<string, { example: string }> }
  for (const name of ['`a`', '`b`', '`admin`', '`p`', '`q`']) t.ok(description.includes(name), name)
  t.equal(headers['WWW-Authenticate']?.example,
    'Bearer error="insufficient_scope", error_description="The credential does not permit this.", scope="a"')
})

t.test('roles, policies and limits stand in the extension; a dry run does not', async t => {
  const limit = { policy: 'read', limit: 100, windowMs: 60_000, algorithm: 'sliding-window' }
  const { 'x-secure-api': extension } = operationOf({
    access: { role: 'admin' },
    steps,
    rateLimit: [limit, { ...limit, policy: 'tried', dryRun: true }]
  })
  t.strictSame(extension, { access: { role: 'admin' }, rateLimit: [{ policy: 'read', limit: 100, windowSeconds: 60 }] })
})

t.test('without bodies of our own none is described; without responses only the security is', async t => {
  const { responses } = operationOf({ access: 'none', steps }, { bodies: false })
  t.ok(responses[403]?.headers)
  t.notOk(responses[403]?.content)
  const { responses: few, security } = operationOf({ access: 'authenticated', steps }, { responses: false })
  t.strictSame(Object.keys(few), ['200'])
  t.strictSame(security, [{ bearerAuth: [] }])
})

t.test('where the suite does not authenticate, security stays the application\'s own', async t => {
  const document = { openapi: '3.1.0', security: [{ mine: [] }], components: {}, paths: { '/': { get: {} } } }
  const { paths, components } = secureDocument(document, () => ({ access: 'public', steps: [] }),
    { ...options, authenticates: false }) as { paths: Record<string, Record<string, Fields>>, components: Fields }
  t.notOk('security' in (paths['/']?.get ?? {}))
  t.notOk('securitySchemes' in components)
})

t.test('the given document stays as it is, and what is no operation is left alone', async t => {
  const document = {
    openapi: '3.2.0',
    paths: {
      '/': {
        summary: 'all',
        parameters: [{ name: 'x', in: 'query' }],
        get: {},
        query: {},
        additionalOperations: { PURGE: { summary: 'purge' } }
      },
      '/empty': null
    }
  }
  const before = structuredClone(document)
  const found: string[] = []
  const secured = secureDocument(document, ({ method, path }) => {
    found.push(`${method} ${path}`)
    return { access: 'public', steps: [] }
  }, options)
  t.strictSame(document, before)
  t.strictSame(found, ['GET /', 'QUERY /', 'PURGE /'])
  t.match(secured, {
    paths: {
      '/': {
        summary: 'all',
        parameters: [{ name: 'x' }],
        additionalOperations: { PURGE: { summary: 'purge', security: [] } }
      }
    }
  })
})

t.test('YAML says what the JSON says', async t => {
  t.doesNotThrow(() => fc.assert(fc.property(fc.jsonValue(), value => {
    const json = JSON.parse(JSON.stringify(value)) as unknown
    return isDeepStrictEqual(yaml.parse(toYaml(json)), json)
  }), { numRuns: 300 }))
  t.equal(toYaml({ a: ['b', { c: 1, d: [] }], 'x-y': 'no', e: {} }), 'a:\n  - b\n  - c: 1\n    d: []\nx-y: "no"\ne: {}\n')
})
