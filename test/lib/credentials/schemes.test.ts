import type { FastifyRequest } from 'fastify'
import t from 'tap'
import { anonymous, Schemes, type Judged, type Principal, type Scheme } from '../../../lib/credentials/index.ts'

const request = { headers: {}, raw: {} } as unknown as FastifyRequest
const principal = (subject: string): Principal => ({ ...anonymous, kind: 'user', subject })
const verified = (subject: string): Judged => ({ kind: 'verified', principal: principal(subject) })
const later = (verification: Awaited<ReturnType<Extract<Judged, { kind: 'unverified' }>['verify']>>): Judged =>
  ({ kind: 'unverified', verify: async () => verification })

interface Parts { readonly present?: boolean, readonly judged?: Judged, readonly challenge?: string, readonly ambient?: boolean }

function scheme (name: string, { present = true, judged = verified(name), challenge, ambient = false }: Parts = {}): Scheme {
  return { credentials: [name], challenge, ambient, isPresent: () => present, judge: () => judged }
}

async function outcome (...schemes: Scheme[]): Promise<unknown> {
  const judged = await new Schemes(schemes).judge(request)
  const end = judged?.kind === 'unverified' ? await judged.verify() : judged
  return end?.kind === 'verified' ? end.principal.subject : end?.kind === 'failed' ? end.code : end
}

t.test('the one credential that a request brings counts', async t => {
  t.equal(await outcome(scheme('jwt')), 'jwt')
  t.equal(await outcome(scheme('jwt', { present: false }), scheme('api-key')), 'api-key')
  t.equal(await outcome(scheme('jwt', { present: false }), scheme('api-key', { present: false })), undefined)
  t.equal(await outcome(), undefined)
})

t.test('two that were put there are refused, however good both are', async t => {
  t.equal(await outcome(scheme('jwt'), scheme('api-key')), 'SECURE_API_CREDENTIAL_AMBIGUOUS')
  t.equal(await outcome(scheme('jwt', { judged: { kind: 'failed', code: 'SECURE_API_TOKEN_EXPIRED' } }), scheme('own', { present: false }),
    scheme('api-key')), 'SECURE_API_CREDENTIAL_AMBIGUOUS')
})

t.test('what comes by itself is looked at last, and never rescues a bad credential', async t => {
  const session = scheme('session', { ambient: true })
  t.equal(await outcome(session, scheme('jwt')), 'jwt')
  const expired = scheme('jwt', { judged: { kind: 'failed', code: 'SECURE_API_TOKEN_EXPIRED' } })
  t.equal(await outcome(session, expired), 'SECURE_API_TOKEN_EXPIRED')
  t.equal(await outcome(session, scheme('jwt', { present: false })), 'session')
  const none = { ...scheme('certificate', { ambient: true }), judge: () => undefined }
  const unknown = scheme('first', { ambient: true, judged: later(undefined) })
  t.equal(await outcome(none, unknown, session), 'session', 'the next is asked where one has nothing to say')
  const no = scheme('second', { ambient: true, judged: later({ kind: 'failed', code: 'SECURE_API_CREDENTIAL_INVALID' }) })
  t.equal(await outcome(unknown, no, session), 'SECURE_API_CREDENTIAL_INVALID', 'and not where it says no')
  t.equal(await outcome(none, unknown), undefined)
})

t.test('a 401 asks for what the route takes, each challenge once', async t => {
  const schemes = new Schemes([
    scheme('jwt', { challenge: 'Bearer realm="api"' }), scheme('opaque', { challenge: 'Bearer realm="api"' }),
    scheme('api-key', { challenge: 'ApiKey realm="api"' }), scheme('session', { ambient: true })
  ])
  t.strictSame(schemes.credentials, ['jwt', 'opaque', 'api-key', 'session'])
  t.equal(schemes.challenge(), 'Bearer realm="api", ApiKey realm="api"')
  t.equal(schemes.challenge(['api-key', 'session']), 'ApiKey realm="api"')
  t.equal(schemes.challenge(['session']), undefined)
})
