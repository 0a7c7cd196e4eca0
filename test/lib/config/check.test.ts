import fc from 'fast-check'
import t from 'tap'
import { AuditOptionsSchema, RouteAuditSchema } from '../../../lib/audit/index.ts'
import { check, DurationSchema, Problems, Type, type Problem, type Schema } from '../../../lib/config/index.ts'
import { CorsOptionsSchema, RouteCorsSchema } from '../../../lib/cors/index.ts'
import { HeadersOptionsSchema, RouteHeadersSchema } from '../../../lib/headers/index.ts'
import { HealthOptionsSchema } from '../../../lib/health/index.ts'
import { LimitSchema, RateLimitOptionsSchema, RouteRateLimitSchema } from '../../../lib/limits/index.ts'
import { AuthorizationOptionsSchema, RequirementSchema } from '../../../lib/rules/index.ts'
import { TelemetryOptionsSchema } from '../../../lib/telemetry/index.ts'
import { AuthenticationOptionsSchema } from '../../../lib/authentication/index.ts'

function found (schema: Schema, value: unknown): readonly Problem[] {
  const problems = new Problems()
  check(schema, value, 'o', problems)
  return problems.list()
}

/** Code without its common part, and path: `UNKNOWN o.namee`. */
function mistakes (schema: Schema, value: unknown): string[] {
  return found(schema, value).map(({ code, path }) => `${code.replace('SECURE_API_OPTION_', '')} ${path}`)
}

const message = (schema: Schema, value: unknown) => JSON.stringify(found(schema, value))

const Shape = Type.Object({
  name: Type.Optional(Type.String()),
  count: Type.Optional(Type.Integer({ minimum: 1, maximum: 9 })),
  share: Type.Optional(Type.Unsafe<number>({ type: 'number', maximum: 1 })),
  floor: Type.Optional(Type.Integer({ minimum: 2 })),
  on: Type.Optional(Type.Boolean()),
  call: Type.Optional(Type.Function()),
  instance: Type.Optional(Type.Unsafe<object>({})),
  mode: Type.Optional(Type.Union([Type.Literal('local'), Type.Literal('deny'), Type.Literal(false)])),
  list: Type.Optional(Type.Array(Type.Object({ id: Type.String() }), { minItems: 1 })),
  table: Type.Optional(Type.Record(Type.Object({ limit: Type.Integer() }))),
  wait: Type.Optional(DurationSchema)
})

t.test('what is right has no problems', t => {
  const right = {
    name: 'x',
    count: 9,
    share: -2.5,
    floor: 2,
    on: false,
    call () {},
    instance: new Map(),
    mode: false,
    list: [{ id: 'a' }],
    table: { a: { limit: 1 } },
    wait: '5 minutes'
  }
  t.strictSame(mistakes(Shape, right), [])
  t.strictSame(mistakes(Shape, {}), [])
  t.strictSame(mistakes(Shape, Object.create(null)), [])
  t.end()
})

t.test('each mistake has its code and path', t => {
  const cases: [unknown, string[]][] = [
    [undefined, ['TYPE o']],
    [null, ['TYPE o']],
    [[], ['TYPE o']],
    ['text', ['TYPE o']],
    [{ name: '  ' }, ['EMPTY o.name']],
    [{ name: Object('boxed') }, ['TYPE o.name']],
    [{ name: undefined }, ['UNDEFINED o.name']],
    [{ name: null }, ['TYPE o.name']],
    [{ nmae: 'x' }, ['UNKNOWN o.nmae']],
    [{ nmae: undefined }, ['UNKNOWN o.nmae']],
    [{ count: NaN }, ['TYPE o.count']],
    [{ count: Infinity }, ['TYPE o.count']],
    [{ count: 2 ** 53 }, ['TYPE o.count']],
    [{ count: 1.5 }, ['TYPE o.count']],
    [{ count: '3' }, ['TYPE o.count']],
    [{ count: 3n }, ['TYPE o.count']],
    [{ count: 0 }, ['RANGE o.count']],
    [{ count: 10 }, ['RANGE o.count']],
    [{ share: 1.01 }, ['RANGE o.share']],
    [{ floor: 1 }, ['RANGE o.floor']],
    [{ on: 'true' }, ['TYPE o.on']],
    [{ call: {} }, ['TYPE o.call']],
    [{ mode: true }, ['VALUE o.mode']],
    [{ mode: 'lokal' }, ['VALUE o.mode']],
    [{ list: [] }, ['EMPTY o.list']],
    [{ list: { 0: { id: 'a' } } }, ['TYPE o.list']],
    [{ list: [{ id: 'a' }, {}, { id: 3 }] }, ['MISSING o.list[1].id', 'TYPE o.list[2].id']],
    [{ list: [undefined] }, ['UNDEFINED o.list[0]']],
    [{ table: { a: { limit: 1 }, b: { limt: 1 } } }, ['MISSING o.table.b.limit', 'UNKNOWN o.table.b.limt']],
    [{ table: { a: undefined } }, ['UNDEFINED o.table.a']],
    [{ wait: '5' }, ['VALUE o.wait']],
    [{ wait: -1 }, ['RANGE o.wait']],
    [{ wait: 1.5 }, ['TYPE o.wait']],
    [{ name: 1, count: 'x', on: 0 }, ['TYPE o.name', 'TYPE o.count', 'TYPE o.on']]
  ]
  for (const [value, expected] of cases) t.strictSame(mistakes(Shape, value), expected)
  t.end()
})

t.test('the path of the outermost object has no leading dot', t => {
  const problems = new Problems()
  check(Shape, { count: 0, nope: 1 }, '', problems)
  t.strictSame(problems.list().map(({ path }) => path), ['count', 'nope'])
  t.end()
})

t.test('a hole in a list is a mistake, since nothing would guard what it stands for', t => {
  t.strictSame(mistakes(RequirementSchema, { all: new Array(2) }), ['UNDEFINED o.all[0]', 'UNDEFINED o.all[1]'])
  t.end()
})

t.test('names of Object.prototype are names like others', t => {
  const polluted: unknown = JSON.parse('{ "__proto__": { "count": 0 }, "constructor": 1, "toString": 2 }')
  t.strictSame(mistakes(Shape, polluted), ['UNKNOWN o.__proto__', 'UNKNOWN o.constructor', 'UNKNOWN o.toString'])
  const table: unknown = JSON.parse('{ "table": { "__proto__": { "limit": "x" }, "constructor": { "limit": 1 } } }')
  t.strictSame(mistakes(Shape, table), ['TYPE o.table.__proto__.limit'])
  t.end()
})

t.test('options that an object inherits are read later, so they are checked', t => {
  class Options { get count () { return 0 } }
  t.strictSame(mistakes(Shape, new Options()), ['RANGE o.count'])
  t.strictSame(mistakes(LimitSchema, Object.create({ limit: 'many' })), ['TYPE o.limit'])
  t.end()
})

t.test('built-in objects are no options: a Map or a forgotten Promise would be read as empty', t => {
  for (const value of [new Map([['count', 0]]), Promise.resolve({}), new Date(), /x/, new Set()]) {
    t.strictSame(mistakes(Shape, value),
      ['TYPE o'])
  }
  t.match(message(Shape, Promise.resolve()), 'a Promise is not an object')
  t.end()
})

t.test('of a union, only the branch that was meant is reported', t => {
  const Rule = Type.Union([Type.Literal(false), Type.String({ pattern: '^[a-z]+$' }),
    Type.Object({ all: Type.Array(Type.String()) }), Type.Object({ any: Type.Array(Type.String()) })])
  t.strictSame(mistakes(Rule, 'UP'), ['VALUE o'])
  t.strictSame(mistakes(Rule, true), ['VALUE o'])
  t.strictSame(mistakes(Rule, undefined), ['VALUE o'])
  t.strictSame(mistakes(Rule, { any: [1] }), ['TYPE o.any[0]'])
  t.strictSame(mistakes(Rule, { any: ['a'], all: ['b'] }), ['UNKNOWN o.any'])
  t.strictSame(mistakes(Rule, { anyy: ['a'] }), ['MISSING o.any', 'UNKNOWN o.anyy'])
  t.match(found(Rule, { anyy: ['a'] })[1]?.fix, '`any`')
  t.match(found(Rule, { al: ['a'] })[1]?.fix, '`all`')
  t.strictSame(mistakes(Rule, {}), ['MISSING o.all'])
  t.end()
})

t.test('a union inside a union is one union', t => {
  const Nested = Type.Union([Type.Union([Type.Literal('read'), Type.Literal('write')]), LimitSchema, Type.String({ pattern: '^x' })])
  for (const value of ['read', 'xyz', { limit: 1, window: 1 }]) t.strictSame(mistakes(Nested, value), [])
  t.strictSame(mistakes(Nested, { limit: 1, windwo: '1 minute' }), ['UNKNOWN o.windwo'])
  t.strictSame(mistakes(Nested, 'abc'), ['VALUE o'])
  t.end()
})

t.test('a misspelt literal is told the right one', t => {
  t.match(found(Shape, { mode: 'lokal' })[0]?.fix, "'local'")
  t.match(found(Shape, { mode: 'Deny' })[0]?.fix, "'deny'")
  t.match(found(Type.Literal('only'), 'other')[0], { code: 'SECURE_API_OPTION_VALUE' })
  t.end()
})

t.test('secrets are never shown', t => {
  const secret = 'hunter2-hunter2'
  const Secret = Type.Object({
    text: Type.Optional(Type.String({ secret: true, pattern: '^redis://' })),
    number: Type.Optional(Type.Integer({ secret: true, maximum: 5 })),
    either: Type.Optional(Type.Union([Type.Integer(), Type.Object({})], { secret: true })),
    branch: Type.Optional(Type.Union([Type.String({ secret: true, pattern: '^redis://' }), Type.Integer()])),
    wait: Type.Optional(Type.Union([Type.String({ format: 'duration' })], { secret: true })),
    constant: Type.Optional(Type.Unsafe<'x'>({ const: 'x', secret: true }))
  })
  const values = { text: secret, number: 31337, either: secret, branch: secret, wait: secret, constant: secret }
  t.equal(found(Secret, values).length, 6)
  t.notMatch(message(Secret, values), /hunter2|31337/)
  t.notMatch(message(Secret, { text: { password: secret }, either: [secret] }), /hunter2/)
  t.end()
})

t.test('the password of a URL is not shown, wherever it was put', t => {
  for (const url of ['redis://user:hunter2@cache:6379', 'rediss://:hunt@er2@cache', 'https://hunter2@a.example\n//hunter2@b']) {
    t.notMatch(message(Type.Object({ on: Type.Boolean(), mode: Type.Union([Type.Literal('1')]), name: Type.String({ pattern: '^a$' }) }),
      { on: url, mode: url, name: url }), /hunt/)
  }
  t.notMatch(message(RateLimitOptionsSchema, {
    redis: 'redis://u:hunter2@h',
    perAddress: 'redis://u:hunter2@h',
    keyPrefix: 'redis://u:hunter2@h'
  }), /hunter2/)
  t.end()
})

t.test('a secret in the place of the options that hold it is not shown', t => {
  for (const options of [{ ownTokens: 'hush-hush' }, { apiKeys: 'hush-hush' }, { introspection: { client: 'hush-hush' } },
    { apiKeys: { prefix: 'hush-hush' } }]) t.notMatch(message(AuthenticationOptionsSchema, options), /hush/)
  t.end()
})

t.test('what is shown is short and printable; insides of objects are not shown', t => {
  const long = message(Type.Boolean(), 'x'.repeat(100_000))
  t.ok(long.length < 300, `${long.length} characters`)
  t.notMatch(found(Type.Boolean(), 'a\r\n\x1b[31mb')[0]?.why, /\p{Cc}/u)
  t.notMatch(message(Type.Boolean(), { password: 'hunter2' }), /hunter2/)
  t.notMatch(message(Type.Boolean(), () => 'hunter2'), /hunter2/)
  t.doesNotThrow(() => found(Type.Boolean(), Symbol('s')))
  t.end()
})

t.test('a schema of another kind stops the boot instead of letting everything pass', t => {
  const foreign: readonly object[] = [{ allOf: [{ type: 'object' }] }, { not: { type: 'string' } }, { type: 'null' }, { enum: ['a'] },
    { $ref: 'Other' }]
  for (const schema of foreign) t.throws(() => found(schema, { anything: 1 }), TypeError)
  t.end()
})

/** Everything that `check` reads or that is there for people and types. Another keyword would be a promise that nobody keeps. */
const understood = new Set([
  'type', 'properties', 'required', 'additionalProperties', 'patternProperties', 'items', 'minItems', 'anyOf', 'const', 'minimum',
  'maximum',
  'pattern', 'format', 'hint', 'refuseList', 'secret', 'secretSource', 'title', 'description', 'default', 'parameters', 'returns'
])

function foreignKeywords (schema: Schema): string[] {
  const below: Schema[] = [...Object.values<Schema>(schema.properties ?? {}), ...Object.values<Schema>(schema.patternProperties ?? {}),
    ...(schema.anyOf ?? []), ...(schema.items === undefined ? [] : [schema.items])]
  return [...Object.keys(schema).filter(keyword => !understood.has(keyword)), ...below.flatMap(foreignKeywords)]
}

t.test('the schemas of all options use only what is checked, and survive any value', t => {
  const schemas = {
    AuditOptionsSchema,
    RouteAuditSchema,
    CorsOptionsSchema,
    RouteCorsSchema,
    HeadersOptionsSchema,
    RouteHeadersSchema,
    RateLimitOptionsSchema,
    RouteRateLimitSchema,
    AuthorizationOptionsSchema,
    AuthenticationOptionsSchema,
    HealthOptionsSchema,
    TelemetryOptionsSchema
  }
  for (const [name, schema] of Object.entries<Schema>(schemas)) {
    t.strictSame(foreignKeywords(schema), [], name)
    const known = Object.keys(schema.properties ?? {})
    const options = fc.dictionary(fc.constantFrom('__proto__', 'x', ...known),
      fc.anything({ withNullPrototype: true, withSparseArray: true, withBigInt: true }))
    fc.assert(fc.property(fc.oneof(options, fc.anything()), value => { found(schema, value) }), { numRuns: 200 })
  }
  t.end()
})
