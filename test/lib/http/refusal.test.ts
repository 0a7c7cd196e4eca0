import { STATUS_CODES } from 'node:http'
import fc from 'fast-check'
import t from 'tap'
import { answers, bearerChallenge, refusal, type Answer, type AnswerCode } from '../../../lib/http/index.ts'

const codes = Object.keys(answers) as AnswerCode[]

t.test('every answer is a complete, frozen RFC 9457 document', t => {
  for (const code of codes) {
    const { status, title, detail }: Answer = answers[code]
    const made = refusal(code)
    t.strictSame(JSON.parse(made.body), { type: 'about:blank', title, status, detail, code }, code)
    t.equal(made.headers['content-type'], 'application/problem+json; charset=utf-8')
    t.equal(made.headers['cache-control'], 'no-store')
    t.ok(Object.isFrozen(made) && Object.isFrozen(made.headers))
    t.notOk('reason' in made)
  }
  t.end()
})

const realms: Readonly<Record<string, string>> = { none: 'Bearer realm="api"', ApiKey: 'ApiKey realm="api"' }

t.test('challenges stand where the table says, with a 401 always (RFC 9110 §15.5.2)', t => {
  for (const code of codes) {
    const { status, detail, challenge }: Answer = answers[code]
    const error = `Bearer error="${challenge}", error_description="${detail}"`
    const expected = challenge && (realms[challenge] ?? error)
    t.equal(refusal(code).headers['www-authenticate'], expected, code)
    if (status === 401) t.ok(expected, `${code} is a 401 with a challenge`)
  }
  t.equal(refusal('SECURE_API_UNAUTHENTICATED').headers['www-authenticate'], 'Bearer realm="api"')
  t.equal(refusal('SECURE_API_TOKEN_EXPIRED').headers['www-authenticate'],
    'Bearer error="invalid_token", error_description="The token has expired."')
  t.end()
})

t.test('15 B1: every challenge has a parameter (RFC 6750 §3)', t => {
  for (const code of codes) {
    const { 'www-authenticate': challenge } = refusal(code).headers
    if (challenge !== undefined) t.match(challenge, /^(?:Bearer|ApiKey) [a-z_]+="[^"]+"/, code)
  }
  t.end()
})

t.test('15 B4: the title of every answer is the phrase of its status (RFC 9457 §4.2.1)', t => {
  for (const code of codes) t.equal(JSON.parse(refusal(code).body).title, STATUS_CODES[answers[code].status], code)
  t.end()
})

t.test('statuses of the design', t => {
  const expected: [AnswerCode, number][] = [
    ['SECURE_API_UNAUTHENTICATED', 401], ['SECURE_API_CREDENTIAL_AMBIGUOUS', 400], ['SECURE_API_FORBIDDEN', 403],
    ['SECURE_API_KEYS_UNAVAILABLE', 503], ['SECURE_API_RATE_LIMITED', 429], ['SECURE_API_CORS_REFUSED', 403]
  ]
  for (const [code, status] of expected) t.equal(refusal(code).status, status)
  for (const code of codes.filter(code => code.startsWith('SECURE_API_TOKEN_'))) {
    t.match(refusal(code).headers, { 'www-authenticate': /error="invalid_token"/ })
  }
  t.end()
})

t.test('the scopes that would do are named', t => {
  t.equal(bearerChallenge('insufficient_scope', 'No.', 'api.read api.write'),
    'Bearer error="insufficient_scope", error_description="No.", scope="api.read api.write"')
  t.equal(bearerChallenge('none', 'No.', 'api.read'), 'Bearer realm="api"', 'RFC 6750 §3.1: nothing more to a stranger')
  t.end()
})

t.test('no text breaks out of a challenge', t => {
  t.equal(bearerChallenge('insufficient_scope', 'a\r\nX-Evil: 1', 'b"c\\d\0é'),
    'Bearer error="insufficient_scope", error_description="aX-Evil: 1", scope="bcd"')
  const text = fc.array(fc.nat(0x17f)).map(codes => String.fromCharCode(...codes))
  const safe = /[\x20-\x21\x23-\x5b\x5d-\x7e]*/.source
  const challenge = new RegExp(`^Bearer error="invalid_token", error_description="${safe}", scope="${safe}"$`)
  fc.assert(fc.property(text, text, (description, scope) => challenge.test(bearerChallenge('invalid_token', description, scope))))
  t.end()
})

t.test('parts are added, and none replaces what the status line says', t => {
  const made = refusal('SECURE_API_RATE_LIMITED', {
    headers: { 'retry-after': '3', 'cache-control': 'private' },
    extensions: { limits: ['read'], status: 200, code: 'OTHER', title: 'x', detail: 'x', type: 'x' },
    type: 'https://docs.example/limits',
    reason: 'told to nobody'
  })
  t.match(made.headers, { 'retry-after': '3', 'cache-control': 'private' })
  t.strictSame(JSON.parse(made.body), {
    type: 'https://docs.example/limits',
    title: 'Too Many Requests',
    status: 429,
    detail: 'The rate limit is exceeded.',
    code: 'SECURE_API_RATE_LIMITED',
    limits: ['read']
  })
  t.equal(made.reason, 'told to nobody')
  t.notMatch(made.body, 'told to nobody')
  t.end()
})
