import fc from 'fast-check'
import t from 'tap'
import ts from 'typescript'
import { declaring } from '../../../cli/init/declared.ts'
import { routeEdits, type RouteWish } from '../../../cli/init/edit-route.ts'
import { applied } from '../../../cli/init/statement.ts'
import { callAt, tokensOf } from '../../../cli/init/tokens.ts'

const rule = "role: 'admin'"

/** What becomes of a source whose only route is declared by the method that stands at `offset`. */
function edited (source: string, offset: number, wish: Partial<RouteWish> = {}): string | undefined {
  const lines = source.slice(0, offset).split('\n')
  const place = { line: lines.length, column: (lines.at(-1)?.length ?? 0) + 1 }
  const call = callAt(source, tokensOf(source), place, declaring)
  if (call === undefined) return undefined
  const edits = routeEdits(source, call, { rule, handler: 'handler', config: [], url: '/a', replaced: [], ...wish })
  return edits && applied(source, edits)
}

function parses (source: string): boolean {
  const { diagnostics = [] } = ts.transpileModule(source, { reportDiagnostics: true, compilerOptions: { target: ts.ScriptTarget.ESNext } })
  return diagnostics.length === 0
}

/** Blanks and comments that hold what a search for brackets, commas and quotes would stumble over. */
const gap = fc.constantFrom('', ' ', '  ', '\n', '\n    ', ' /* ) } ] , */ ', ' // ) } ` \' " ,\n', '/* config: { */', '\r\n', '\t')
const template = '`a ) } $' + '{`b $' + '{{ c: [1, "}"] }.c} )`} ,`'
const text = fc.constantFrom("'it\\'s ) } ,'", '"{ [ ("', "'/a'", "'config: {'", template, '`/a`', "'\\u{1F600}'")
const regexp = fc.constantFrom('/[/)}\\]]+,/g', '/\\/(?:a|b){1,2}\'"`/u', '/[(]/.test("(")')
const functions = fc.constantFrom(
  'async (request) => ({ a: request.url, b: [1, 2] })',
  'function (request, reply) { reply.send(`}`) }',
  'request => request.url',
  'async function named () { return /[}]/.source }',
  'async request => { return { a: `$' + '{request.url})` } }',
  'handler'
)
const plain = fc.constantFrom('1', 'true', 'a.b?.c', 'a ? b : c', '(1, 2)', '-1 / 2 / 3')
const value = fc.letrec<Record<'any', string>>(tie => ({
  any: fc.oneof({ depthSize: 'small' }, text, regexp, plain, functions,
    fc.tuple(gap, tie('any'), gap).map(([a, inner, b]) => `call(${a}${inner}${b})`),
    fc.tuple(gap, tie('any'), gap, tie('any')).map(([a, one, b, two]) => `[${a}${one},${b}${two}]`),
    fc.tuple(gap, tie('any'), gap).map(([a, inner, b]) => `{${a}key: ${inner}${b}}`))
})).any
const configs = fc.constantFrom('{}', '{ a: 1 }', '{ /* } */ tags: ["}"], }', '{\n  a: `}`,\n  b: 2\n}')
const member = fc.oneof(
  fc.tuple(fc.constantFrom('schema', "'onRequest'", 'preHandler', 'bodyLimit', '"attachValidation"'), gap, value),
  fc.tuple(fc.constant('config'), gap, configs)
)
const options = fc.tuple(gap, fc.uniqueArray(member, { selector: ([key]) => key, maxLength: 4 }), gap, fc.boolean())
  .map(([a, members, b, comma]) => `{${a}${members.map(([key, space, given]) => `${key}:${space}${given}`).join(`,${b || ' '}`)}${
    comma && members.length > 0 ? ',' : ''}${b}}`)
const silent = fc.constantFrom('', '// app.get("/a", handler)\n', 'if (a) {}\n', '/* app.get( */\n')
const surrounding = fc.oneof(value.map(given => `const before = ${given};\n`), silent)
const comma = fc.tuple(gap, gap).map(([a, b]) => `${a},${b}`)
const source = fc.record({
  before: surrounding,
  open: fc.tuple(gap, gap).map(([a, b]) => `app${a}.${b}`),
  url: fc.constantFrom("'/a'", '"/a"', '`/a`'),
  given: fc.oneof(fc.constant(undefined), options),
  handler: functions,
  comma,
  space: gap,
  isRoute: fc.boolean(),
  after: surrounding
}).map(({ before, open, url, given, handler, comma, space, isRoute, after }) => {
  const sent = given === undefined ? '' : `${comma}onSend: ${given}`
  const call = isRoute
    ? `route(${space}{ method: 'GET'${comma}url: ${url}${comma}handler: ${handler}${sent}${space}}`
    : `get(${space}${[url, given, handler].filter(part => part !== undefined).join(comma)}${space}`
  return { before: `${before}${open}`, call, after: `)\n${after}` }
})

t.test('whatever the call looks like, the edited text parses, and differs inside the call only', t => {
  let count = 0
  fc.assert(fc.property(source, ({ before, call, after }) => {
    const text = before + call + after
    fc.pre(parses(text))
    const config = /(?<![\w'"])config:\s*\{[^}]*a: /.test(call) ? ['a'] : []
    const result = edited(text, before.length, { config })
    if (result === undefined) return
    count++
    if (!result.startsWith(before) || !result.endsWith(after)) throw new Error(`changed outside:\n${text}\n---\n${result}`)
    if (!parses(result)) throw new Error(`does not parse:\n${text}\n---\n${result}`)
    const inside = result.slice(before.length, result.length - after.length)
    if (inside.length <= call.length || !inside.includes(rule)) throw new Error(`no rule:\n${text}\n---\n${result}`)
    if (bare(inside.replace(rule, '')).length < bare(call).length) throw new Error(`something is gone:\n${text}\n---\n${result}`)
  }), { numRuns: 500 })
  t.ok(count > 200, `${count} of 500 calls are edited`)
  t.end()
})

function bare (text: string): string {
  return text.replace(/\s/g, '')
}

const mark = 'app.'
const cases: ReadonlyArray<readonly [call: string, result: string | undefined, wish?: Partial<RouteWish>]> = [
  ["get('/a', handler)", `get('/a', { config: { ${rule} } }, handler)`],
  ["get('/a', handlers.handler)", `get('/a', { config: { ${rule} } }, handlers.handler)`],
  ["get('/a', options)", undefined, { handler: 'other' }],
  ["get('/a', options, handler)", undefined],
  ["get('/a', {}, handler)", `get('/a', { config: { ${rule} } }, handler)`],
  ["get('/a', { ...shared }, handler)", `get('/a', { config: { ${rule} }, ...shared }, handler)`],
  ["get('/a', { ...shared }, handler)", undefined, { config: ['tags'] }],
  ["get('/a', { config }, handler)", undefined],
  ["get('/a', { config: {} }, handler)", `get('/a', { config: { ${rule} } }, handler)`],
  ["get('/a', { config: { a: 1 } }, handler)", `get('/a', { config: { ${rule}, a: 1 } }, handler)`],
  ["get('/a', { config: 1, config: {} }, handler)", undefined],
  ["get('/a', { [key]: 1 }, handler)", undefined],
  ['get(path, handler)', undefined],
  ["get('/b', handler)", undefined],
  ["get<{ Params: { id: Array<string> } }>('/a', handler)",
    `get<{ Params: { id: Array<string> } }>('/a', { config: { ${rule} } }, handler)`],
  ["get('/a', { onRequest: app.authenticate }, handler)", `get('/a', { config: { ${rule} } }, handler)`, { replaced: ['onRequest'] }],
  ["get('/a', { schema, onRequest: [app.authenticate] }, handler)", `get('/a', { schema, config: { ${rule} } }, handler)`, {
    replaced: ['onRequest']
  }],
  ["get('/a', { config: { rateLimit: { max: 5, timeWindow: 9 } } }, handler)",
    `get('/a', { config: { ${rule}, rateLimit: { limit: 5, window: 9 } } }, handler)`],
  ["get('/a', { config: { rateLimit: { max: 5, timeWindow: 9 } } }, handler)",
    "get('/a', { config: { rateLimit: { limit: 5, window: 9 } } }, handler)", { rule: '' }],
  ["get('/a', { config: { rateLimit: { max: 5, timeWindow: 9, ban: 2 } } }, handler)", undefined],
  ["get('/a', handler)", undefined, { rule: '' }]
]

t.test('calls, and what becomes of them', t => {
  for (const [call, result, wish] of cases) {
    t.equal(edited(mark + call, mark.length, wish), result && mark + result, call)
  }
  t.end()
})
