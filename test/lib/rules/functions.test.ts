import { mock } from 'node:test'
import type { FastifyRequest } from 'fastify'
import t from 'tap'
import { anonymous } from '../../../lib/credentials/index.ts'
import {
  allTerms, compileRule, RuleBook, type PolicyContext, type PolicyFunction, type Requirement,
  type Rule
} from '../../../lib/rules/index.ts'

const context: PolicyContext = { principal: anonymous, request: {} as FastifyRequest, resource: { owner: 's' } }
const settle = () => new Promise(resolve => setImmediate(resolve))

/** Asks policies as a route with this requirement would. */
function ask (policies: Record<string, PolicyFunction | Rule>, policy: Requirement, errors: unknown[] = []): boolean | Promise<boolean> {
  return allTerms(compileRule({ policy }, new RuleBook(policies)).policies, context, error => { errors.push(error) })
}

/** What only JavaScript, or a cast, can return. */
const returning = (value: unknown): PolicyFunction => () => value as boolean

t.test('synchronous policies are answered in the same turn', t => {
  t.equal(ask({ yes: () => true }, 'yes'), true)
  t.equal(ask({ no: () => false }, 'no'), false)
  t.equal(ask({ yes: () => true, no: () => false }, { all: ['yes', 'no'] }), false)
  t.equal(ask({ yes: () => true, no: () => false }, { any: ['no', 'yes'] }), true)
  t.equal(allTerms([], context), true)
  t.end()
})

t.test('a policy sees the principal, the request and the resource, and nothing else', t => {
  let seen: unknown[] = []
  ask({ it: (...given) => { seen = given; return true } }, 'it')
  t.equal(seen.length, 1)
  t.equal(seen[0], context)
  t.end()
})

t.test('only true permits', async t => {
  for (const value of [1, 'true', {}, [], undefined, null, Object(true), () => true, Symbol('yes')]) {
    t.equal(ask({ it: returning(value) }, 'it'), false)
    t.equal(await ask({ it: returning(Promise.resolve(value)) }, 'it'), false)
  }
  t.equal(await ask({ it: async () => true }, 'it'), true)
})

t.test('promises of other libraries are waited for', async t => {
  const thenable = (value: unknown) => ({ then: (resolve: (value: unknown) => void) => resolve(value) })
  t.equal(await ask({ it: returning(thenable(true)) }, 'it'), true)
  t.equal(await ask({ it: returning(thenable(false)) }, 'it'), false)
  t.equal(ask({ it: returning({ get then () { throw new Error('trap') } }) }, 'it'), false)
})

t.test('a policy that fails refuses, and is told of', async t => {
  const failing: PolicyFunction[] = [() => { throw new Error('boom') }, async () => { throw new Error('boom') }]
  for (const it of failing) {
    const errors: unknown[] = []
    t.equal(await ask({ it }, 'it', errors), false)
    t.match(errors, [{ message: 'boom' }])
    t.equal(await ask({ it, yes: () => true }, { all: ['yes', 'it'] }), false)
    t.equal(await ask({ it, yes: () => true }, { any: ['it', 'yes'] }), true, 'another one may still permit')
  }
})

t.test('a failure behind a policy that is a rule is told of too', async t => {
  for (const it of [() => { throw new Error('boom') }, async () => { throw new Error('boom') }] satisfies PolicyFunction[]) {
    const errors: unknown[] = []
    t.equal(await ask({ it, outer: { policy: 'inner' }, inner: { policy: { any: ['it'] } } }, 'outer', errors), false)
    t.equal(errors.length, 1)
  }
})

t.test('no more policies are asked than needed, and in their order', async t => {
  const asked: string[] = []
  const named = (name: string, answer: boolean | Promise<boolean>): PolicyFunction => () => { asked.push(name); return answer }
  const policies = { no: named('no', false), later: named('later', Promise.resolve(true)), yes: named('yes', true) }
  t.equal(await ask(policies, { all: ['later', 'no', 'yes'] }), false)
  t.equal(await ask(policies, { any: ['no', 'later', 'yes'] }), true)
  t.strictSame(asked, ['later', 'no', 'no', 'later'])
})

t.test('several terms must all hold', async t => {
  const term = (answer: boolean | Promise<boolean>) => ({ mode: 'all' as const, functions: [() => answer] })
  t.equal(await allTerms([term(true), term(Promise.resolve(true)), term(true)], context), true)
  t.equal(await allTerms([term(Promise.resolve(true)), term(false)], context), false)
  t.equal(await allTerms([term(Promise.resolve(false)), { mode: 'all', functions: [() => { throw new Error('asked') }] }], context,
    () => t.fail('asked')), false)
})

t.test('a policy that gives no answer has refused after five seconds', async t => {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => mock.timers.reset())
  const errors: unknown[] = []
  let answer: boolean | undefined
  const late: { permit?: (yes: boolean) => void } = {}
  const hangs = () => new Promise<boolean>(resolve => { late.permit = resolve })
  Promise.resolve(ask({ hangs }, 'hangs', errors)).then(said => { answer = said })
  mock.timers.tick(4999)
  await settle()
  t.equal(answer, undefined)
  mock.timers.tick(1)
  await settle()
  t.equal(answer, false)
  t.equal(errors.length, 1)
  late.permit?.(true)
  await settle()
  t.equal(answer, false, 'a late yes changes nothing')
})

t.test('a late rejection is nobody\'s unhandled rejection', async t => {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => mock.timers.reset())
  const late: { fail?: (error: Error) => void } = {}
  const answer = ask({ hangs: () => new Promise<boolean>((_resolve, reject) => { late.fail = reject }) }, 'hangs')
  mock.timers.tick(5000)
  t.equal(await answer, false)
  late.fail?.(new Error('late'))
  await settle()
})
