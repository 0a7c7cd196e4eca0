import t from 'tap'
import { proposeRule } from '../../../cli/init/rules.ts'
import { spanOf, tokensOf } from '../../../cli/init/tokens.ts'
import type { Guard, StockRoute } from '../../../cli/init/types.ts'

const refuses = 'async request => { if (!allowed(request.user)) throw new Error() }'
const verifies = 'async request => { await request.jwtVerify() }'

function guard (name: string, code = refuses, parts?: Guard['parts']): Guard {
  return { phase: 'preHandler', name, code, ...(parts && { parts }) }
}

function proposed (own: readonly Guard[], { written = [], instance = [], tokens = true, code = '' }: {
  written?: readonly string[], instance?: readonly Guard[], tokens?: boolean, code?: string
} = {}) {
  const route: StockRoute = {
    methods: ['GET'], url: '/a', prefix: '', place: undefined, handler: '', code, config: [], instance, own
  }
  const spans = written.flatMap(text => spanOf(tokensOf(text)) ?? [])
  return proposeRule(route, { tokens, written: () => spans })
}

const cases: ReadonlyArray<readonly [title: string, own: readonly Guard[], written: readonly string[], rule: string, look?: RegExp]> = [
  ['nothing', [], [], 'public: true', /nothing guards it/],
  ['a check of the token', [guard('authenticate', verifies)], [], 'authenticated: true'],
  ['a check without a name', [guard('', verifies)], [], 'authenticated: true'],
  ['a role by name', [guard('requireAdmin')], [], "role: 'admin'"],
  ['a flag of the user, which is no role', [guard('requireAdmin', 'async request => { if (!request.user.isAdmin) throw new Error() }')], [],
    'public: true', /the hook `requireAdmin` refuses callers by rules of its own/],
  ['a role in a call', [guard('')], ["verifyRole('admin')"], "role: 'admin'"],
  ['any of several', [guard('')], ["verifyRole('admin', 'editor')"], "role: { any: ['admin', 'editor'] }"],
  ['scopes', [guard('')], ["app.requireScope('a', 'b')"], "scope: { all: ['a', 'b'] }"],
  ['two roles', [guard('isAdmin'), guard('isEditor')], ['isAdmin', 'isEditor'], "role: { all: ['admin', 'editor'] }"],
  ['a scope and a role', [guard(''), guard('')], ["requireScope('a')", "requireRole('b')"], "scope: 'a', role: 'b'"],
  ['a call that is not plain', [guard('')], ['verifyRole(roles)'], 'public: true', /rules of its own/],
  ['a hook of its own', [guard('quota')], [], 'public: true', /the hook `quota` refuses callers by rules of its own/],
  ['a hook that only logs', [guard('log', 'async request => { request.log.info(1) }')], [], 'public: true', /nothing guards it/]
]

t.test('hooks of a route, and its rule', t => {
  for (const [title, own, written, rule, look] of cases) {
    const found = proposed(own, { written })
    t.equal(found.rule, rule, title)
    if (look !== undefined) t.match(found.look.join('\n'), look, `${title} is told`)
  }
  t.end()
})

t.test('regression: a role hook that accepts any of a list beside another does not become all of both', t => {
  const one = proposed([guard(''), guard('')], { written: ["hasRole('admin')", "hasRole('editor', 'author')"] })
  t.equal(one.rule, "role: 'admin'")
  t.match(one.look.join('\n'), /any role of editor, author besides.*keep that hook/)
  const two = proposed([guard(''), guard('')], { written: ["hasRole('a', 'b')", "hasRole('c', 'd')"] })
  t.equal(two.rule, "role: { any: ['a', 'b'] }")
  t.match(two.look.join('\n'), /any role of c, d besides/)
  t.strictSame(two.replaced, [], 'and no hook of a role is taken away')
  t.end()
})

t.test('regression: a handler that checks the token itself gives its route a rule', t => {
  const found = proposed([], { code: verifies })
  t.equal(found.rule, 'authenticated: true')
  t.match(found.look.join('\n'), /its handler checks the token/)
  t.end()
})

t.test('compositions of @fastify/auth', t => {
  const composed = (relation: 'and' | 'or', ...guards: Guard[]) => proposed([guard('', '', { relation, guards })])
  t.equal(composed('and', guard('verifyJWT', verifies), guard('verifyAdmin')).rule, "role: 'admin'")
  t.equal(composed('or', guard('isAdmin'), guard('isEditor')).rule, "role: { any: ['admin', 'editor'] }")
  t.match(composed('or', guard('verifyJWT', verifies), guard('apiKey')).look.join('\n'), /rules of its own/)
  t.end()
})

t.test('without tokens the hooks of the application go on', t => {
  t.equal(proposed([guard('isAdmin')], { tokens: false }).rule, '')
  t.equal(proposed([], { tokens: false }).rule, 'public: true')
  t.end()
})
