import type { FastifyRequest } from 'fastify'
import fc from 'fast-check'
import t from 'tap'
import { Problems } from '../../../lib/config/index.ts'
import type { Principal } from '../../../lib/credentials/index.ts'
import { readOptions, type RouteInfo, type RouteOption } from '../../../lib/pipeline/index.ts'
import {
  allTerms, checkPolicies, compileRule, RuleBook, readRouteAccess, RouteRuleSchema, type PolicyFunction, type Requirement,
  type Rule
} from '../../../lib/rules/index.ts'

const book = new RuleBook({ 'order-owner': () => true, staff: { role: 'staff' } })

const option: RouteOption<ReturnType<typeof readRouteAccess>> = {
  schemas: RouteRuleSchema.properties,
  parse: (stated, { label }, problems) => readRouteAccess(stated, book, label, problems)
}

/** As the frame reads a route. */
function read (config: Record<string, unknown>) {
  const problems = new Problems()
  const route: RouteInfo = { kind: 'route', early: false, methods: ['GET'], url: '/x', config, label: 'route' }
  const access = readOptions(route, [option], problems).get(option)
  return {
    access,
    problems: problems.list().map(({ code, path }) =>
    `${code.replace('SECURE_API_', '')} ${path.replace('route: config', '')}`)
  }
}

t.test('what a route may say', t => {
  const rules: [Record<string, unknown>, unknown][] = [
    [{}, { kind: 'none' }],
    [{ public: true }, { kind: 'public' }],
    [{ authenticated: true }, { kind: 'authenticated' }],
    [{ scope: 'api.read' }, { kind: 'rule', rule: { scope: 'api.read' } }],
    [{ scope: 'https://a.example/scope:x' }, { kind: 'rule', rule: { scope: 'https://a.example/scope:x' } }],
    [{ role: { all: ['a', 'b'] }, authenticated: true }, { kind: 'rule', rule: { role: { all: ['a', 'b'] } } }],
    [{ policy: { any: ['order-owner', 'staff'] }, scope: { any: ['a'] } },
      { kind: 'rule', rule: { scope: { any: ['a'] }, policy: { any: ['order-owner', 'staff'] } } }],
    [{ scope: 'a', authorization: { phase: 'onRequest' } }, { kind: 'rule', rule: { scope: 'a' } }]
  ]
  for (const [config, access] of rules) {
    t.strictSame(JSON.parse(JSON.stringify(read(config))), { access, problems: [] },
      JSON.stringify(config))
  }
  t.end()
})

t.test('what says nothing, or too much, is a mistake and lets nobody in', t => {
  const mistakes: [Record<string, unknown>, string[]][] = [
    [{ scope: ['a'] }, ['ROUTE_SCOPE_BARE_ARRAY .scope']],
    [{ role: [], policy: [1n] }, ['ROUTE_SCOPE_BARE_ARRAY .role', 'ROUTE_SCOPE_BARE_ARRAY .policy']],
    [{ public: true, scope: ['a'] }, ['ROUTE_SCOPE_BARE_ARRAY .scope']],
    [{ scope: '' }, ['OPTION_EMPTY .scope']],
    [{ scope: 'a b' }, ['OPTION_VALUE .scope']],
    [{ scope: 'a"b' }, ['OPTION_VALUE .scope']],
    [{ scope: 'a\r\nX: y' }, ['OPTION_VALUE .scope']],
    [{ scope: 'ä' }, ['OPTION_VALUE .scope']],
    [{ scope: { all: [] } }, ['OPTION_EMPTY .scope.all']],
    [{ scope: { any: [''] } }, ['OPTION_EMPTY .scope.any[0]']],
    [{ scope: {} }, ['OPTION_MISSING .scope.all']],
    [{ scope: { all: ['a'], any: ['b'] } }, ['OPTION_UNKNOWN .scope.any']],
    [{ scope: { all: 'a' } }, ['OPTION_TYPE .scope.all']],
    [{ scope: undefined }, ['OPTION_UNDEFINED .scope']],
    [{ scope: null }, ['OPTION_VALUE .scope']],
    [{ scope: true }, ['OPTION_VALUE .scope']],
    [{ public: 'true' }, ['OPTION_VALUE .public']],
    [{ public: false }, ['OPTION_VALUE .public']],
    [{ public: undefined }, ['OPTION_UNDEFINED .public']],
    [{ authenticated: 1 }, ['OPTION_VALUE .authenticated']],
    [{ public: true, scope: 'a' }, ['ROUTE_PUBLIC_WITH_RULE ']],
    [{ public: true, authenticated: true }, ['ROUTE_PUBLIC_WITH_RULE ']],
    [{ policy: 'nobody' }, ['ROUTE_POLICY_UNKNOWN .policy']],
    [{ policy: { any: ['staff', 'nobody', 'constructor', '__proto__'] } }, Array(3).fill('ROUTE_POLICY_UNKNOWN .policy')],
    [{ public: true, policy: 'nobody' }, ['ROUTE_PUBLIC_WITH_RULE ', 'ROUTE_POLICY_UNKNOWN .policy']],
    [{ authorization: { phase: 'late' } }, ['OPTION_VALUE .authorization.phase']],
    [{ scope: 'a', authorization: {} }, ['OPTION_MISSING .authorization.phase']]
  ]
  for (const [config, problems] of mistakes) t.strictSame(read(config), { access: { kind: 'none' }, problems })
  t.end()
})

t.test('keys of other plugins are left alone', t => {
  for (const name of ['swagger', 'rawBody', 'rateLimit', 'cors', 'headers', 'audit', 'url', 'method', 'publish', 'roleId', 'scopeId',
    'auth', 'otel', 'permission', '']) {
    t.strictSame(read({ public: true, [name]: ['x'] }), { access: { kind: 'public' }, problems: [] }, name)
  }
  t.end()
})

t.test('only what the route itself says opens it', t => {
  t.strictSame(read(Object.create({ public: true })).access, { kind: 'none' })
  t.strictSame(read(JSON.parse('{ "__proto__": { "public": true } }')).access, { kind: 'none' })
  t.end()
})

function policyMistakes (policies: Record<string, Rule | PolicyFunction>): string[] {
  const problems = new Problems()
  checkPolicies(policies, 'p', problems)
  return problems.list().map(({ code, path }) => `${code.replace('SECURE_API_', '')} ${path}`)
}

t.test('policies', t => {
  const allow = () => true
  t.strictSame(policyMistakes({}), [])
  t.strictSame(policyMistakes({ a: { policy: { all: ['b', 'c'] } }, b: { policy: 'c' }, c: allow }), [],
    'two ways to one policy are no circle')
  t.strictSame(policyMistakes({ a: {} }), ['OPTION_EMPTY p.a'])
  t.strictSame(policyMistakes({ a: { policy: 'b' } }), ['ROUTE_POLICY_UNKNOWN p.a.policy'])
  t.strictSame(policyMistakes({ a: { policy: 'toString' } }), ['ROUTE_POLICY_UNKNOWN p.a.policy'])
  t.strictSame(policyMistakes({ a: { policy: 'a' } }), ['OPTION_CONFLICT p.a'])
  t.strictSame(policyMistakes({ a: { policy: 'b' }, b: { policy: { any: ['c', 'b2'] } }, c: { policy: 'a' }, b2: allow }),
    ['OPTION_CONFLICT p.a', 'OPTION_CONFLICT p.b', 'OPTION_CONFLICT p.c'])
  t.strictSame(policyMistakes({ way: { policy: 'b' }, b: { policy: 'c' }, c: { policy: 'b' } }),
    ['OPTION_CONFLICT p.b', 'OPTION_CONFLICT p.c'], 'one that only leads into a circle ends too')
  t.strictSame(policyMistakes({ '': allow, 'a b': allow }), ['OPTION_VALUE p.', 'OPTION_VALUE p.a b'])
  t.strictSame(policyMistakes(Object.fromEntries([['__proto__', allow], ['constructor', { policy: '__proto__' }]])), [],
    'names of Object.prototype are names')
  t.end()
})

const nobody: Principal = {
  kind: 'user',
  credential: 'jwt',
  subject: 's',
  client: undefined,
  issuer: 'i',
  scopes: new Set(),
  roles: new Set(),
  claims: {},
  expiresAt: Infinity
}
const holding = (scopes: string[], roles: string[] = []): Principal => ({ ...nobody, scopes: new Set(scopes), roles: new Set(roles) })
const request = {} as FastifyRequest

t.test('15 B1: the 403 names scopes that would do: all that are needed, or the first of a choice', t => {
  const challenge = (rule: Rule) => compileRule(rule, book).refusal.headers['www-authenticate']
  const bare = 'Bearer error="insufficient_scope", error_description="The credential does not permit this."'
  t.equal(challenge({ scope: { all: ['a', 'b'] } }), `${bare}, scope="a b"`)
  t.equal(challenge({ scope: { any: ['a', 'b'] } }), `${bare}, scope="a"`)
  t.equal(challenge({ scope: 'a', role: 'r' }), `${bare}, scope="a"`)
  t.equal(challenge({ role: 'r' }), bare, 'roles are nobody\'s business')
  t.end()
})

t.test('a rule is decided when it is compiled', t => {
  const names = ['a']
  const { permits } = compileRule({ scope: { any: names } }, book)
  names.push('b')
  t.equal(permits(holding(['b'])), false)
  t.end()
})

t.test('policies that are rules melt into the claims; functions stay', t => {
  const policies = new RuleBook({
    staff: { role: 'staff' },
    senior: { policy: 'staff', scope: 's' },
    ask: () => true,
    asked: { policy: 'ask', role: 'boss' }
  })
  const terms = (policy: Requirement) => compileRule({ policy },
    policies).policies.map(({ mode, functions }) => `${mode} ${functions.length}`)
  t.strictSame(terms('senior'), [])
  t.strictSame(terms({ any: ['senior', 'staff'] }), [])
  t.strictSame(terms({ all: ['senior', 'ask', 'asked'] }), ['all 2'])
  t.strictSame(terms({ any: ['senior', 'ask'] }), ['any 2'])
  t.equal(compileRule({ policy: { all: ['staff', 'ask'] } }, policies).permits(nobody), false, 'refused before a function is asked')
  t.equal(compileRule({ policy: 'senior' }, policies).permits(holding(['s'], ['staff'])), true)
  t.equal(compileRule({ policy: 'unknown' }, policies).policies.every(({ functions }) =>
    functions.every(ask => ask({ principal: nobody, request, resource: undefined }, () => {}) === false)), true,
  'a name that is not configured refuses')
  t.end()
})

/** Slow and obvious. */
function permitted (rule: Rule, principal: Principal, policies: Record<string, Rule | boolean>): boolean {
  const asked = (name: string) => {
    const policy = policies[name]
    return typeof policy === 'object' ? permitted(policy, principal, policies) : policy === true
  }
  const met = (requirement: Requirement | undefined, holds: (name: string) => boolean) => {
    if (requirement === undefined) return true
    if (typeof requirement === 'string') return holds(requirement)
    return 'all' in requirement ? requirement.all.every(holds) : requirement.any.some(holds)
  }
  return met(rule.scope, name => principal.scopes.has(name)) && met(rule.role, name => principal.roles.has(name)) && met(rule.policy, asked)
}

const requirement = (...names: string[]) => fc.oneof(
  fc.constantFrom(...names),
  fc.array(fc.constantFrom(...names), { minLength: 1, maxLength: 3 }).map(all => ({ all })),
  fc.array(fc.constantFrom(...names), { minLength: 1, maxLength: 3 }).map(any => ({ any }))
)
const ruleOver = (...policies: string[]) => fc.record({
  scope: requirement('a', 'b', 'c'),
  role: requirement('r', 'q'),
  policy: requirement('yes', 'no', 'later', ...policies)
}, { requiredKeys: [] })
const principals = fc.tuple(fc.subarray(['a', 'b', 'c']), fc.subarray(['r', 'q'])).map(([scopes, roles]) => holding(scopes, roles))

t.test('a compiled rule and a naive reading of it agree', async () => {
  await fc.assert(fc.asyncProperty(ruleOver(), ruleOver('one'), ruleOver('one', 'two', 'unknown'), principals,
    async (one, two, rule, principal) => {
      const policies = new RuleBook({ yes: () => true, no: () => false, later: async () => true, one, two })
      const compiled = compileRule(rule, policies)
      const context = { principal, request, resource: undefined }
      const actual = compiled.permits(principal) && await allTerms(compiled.policies, context)
      return actual === permitted(rule, principal, { yes: true, no: false, later: true, one, two })
    }), { numRuns: 2000 })
})
