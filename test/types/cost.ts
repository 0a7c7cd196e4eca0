import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { compilerOptions, instantiationsOf } from './compiler.ts'
import { folder } from './folder.ts'

/** Half as much again as it is, because versions of TypeScript and Fastify differ. The faults that this is about cost 100,000. */
const most = 30_000

const bare = `import Fastify from 'fastify'
const app = Fastify()
`
const suite = "import secureApi, * as suite from 'fastify-secure-api'\n"
const registered = "await app.register(secureApi, { auth: { issuer: 'https://login.example.com', audience: 'api://orders' } })\n"

type Tap = Pick<typeof t, 'comment'>

function route (url: string, config = ''): string {
  const schema = "schema: { body: { type: 'object', properties: { item: { type: 'string' } } } }"
  return `app.post<{ Params: { id: string }, Body: { item: string } }>('${url}', { ${config}${schema} },
  async ({ params, body }, reply) => reply.code(201).send({ id: params.id, item: body.item }))\n`
}

function costOf (t: Tap, name: string, text: string): number {
  writeFileSync(join(folder, `${name}.ts`), text)
  const cost = instantiationsOf(folder, `${name}.ts`, compilerOptions('nodenext', { skipLibCheck: true }))
  t.comment(`${name}: ${cost} instantiations`)
  return cost
}

t.test('one route with a rule, and the suite registered, cost the compiler little more than a bare route', async t => {
  const without = costOf(t, 'bare', bare + route('/orders/:id'))
  const secured = costOf(t, 'secured', suite + bare + registered + route('/orders/:id', "config: { scope: 'api.write' }, "))
  t.ok(secured - without < most, `${secured - without} more instantiations`)
})

t.test('a further route with a rule costs as much as one without', async t => {
  const rules = ["scope: 'api.read'", "role: 'admin'", "policy: 'owner'", 'public: true', 'authenticated: true']
  const routes = (config: (rule: string) => string) =>
    rules.flatMap(rule => ['a', 'b', 'c'].map(name => route(`/${name}/:id`, config(rule)))).join('')
  const without = costOf(t, 'bare-routes', bare + routes(() => ''))
  const secured = costOf(t, 'secured-routes', suite + bare + registered + routes(rule => `config: { ${rule} }, `))
  t.ok(secured - without < most, `${secured - without} more instantiations`)
})

t.test('the plugins that are registered one by one do not make Fastify\'s types be compared either', async t => {
  const plugins = ['audit', 'authentication', 'authorization', 'cors', 'headers', 'methodNotAllowed', 'openapi', 'rateLimit', 'tls']
  const options: Record<string, string> = {
    authentication: ", { issuer: 'https://login.example.com', audience: 'api://orders' }",
    cors: ', { origins: [] }'
  }
  const text = plugins.map(name => `await app.register(suite.${name}${options[name] ?? ''})\n`).join('')
  const cost = costOf(t, 'plugins', suite + bare + text)
  t.ok(cost < most, `${cost} instantiations`)
})
