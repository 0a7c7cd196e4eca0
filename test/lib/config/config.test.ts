import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { chmodSync, chownSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import {
  ConfigurationError, editDistance, environmentOf, milliseconds, pageOf, parseDuration, ProblemError, Problems, publishedIn,
  readEnvironment, secretFileFault, suggest, unknownOption
} from '../../../lib/config/index.ts'
import { joseVectors } from '../../fixtures/jose-vectors.ts'

t.test('17.8: a code leads to its page: on the site, in node_modules, and in a bundle that has no package.json', t => {
  const installed = 'node_modules/fastify-secure-api/docs/errors.md#secure_api_option_type'
  t.equal(pageOf('SECURE_API_OPTION_TYPE'), installed)
  t.equal(pageOf('SECURE_API_OPTION_TYPE', () => ({ homepage: 'https://docs.example.com/' })), 'https://docs.example.com/errors#secure_api_option_type')
  t.equal(pageOf('SECURE_API_OPTION_TYPE', () => { throw new Error('Cannot find module') }), installed)
  t.end()
})

t.test('17.8: each mistake ends with the page of its code, alone and among others', t => {
  const problems = new Problems()
  problems.add('SECURE_API_OPTION_TYPE', 'a', 'it is no text', 'Write a text.')
  problems.add('SECURE_API_OPTION_VALUE', 'b', 'it is none of them', 'Write one without a dot at the end')
  t.throws(() => { problems.throwIfAny() }, { code: 'SECURE_API_CONFIGURATION' })
  const { errors, message } = new ConfigurationError(problems.list())
  t.equal(message.split('\n').length, 3)
  for (const [index, error] of errors.entries()) {
    for (const text of [error.message, message.split('\n')[index + 1] ?? '']) {
      t.ok(text.endsWith(`. See ${pageOf(error.code)}`), text)
      t.equal(text.split('See ').length, 2)
    }
  }
  t.end()
})

t.test('durations', t => {
  const read: [string | number, number | undefined][] = [
    [0, 0], [1500, 1500], ['5 minutes', 300_000], ['5minutes', 300_000], [' 5 Minutes ', 300_000], ['1 minute', 60_000],
    ['1.5 h', 5_400_000],
    ['250 ms', 250], ['0 s', 0], ['30 seconds', 30_000], ['24 hours', 86_400_000], ['7 days', 604_800_000], ['2 d', 172_800_000],
    ['0.1 ms', 0],
    ['5', undefined], ['', undefined], ['minutes', undefined], ['-5 minutes', undefined], ['5 fortnights', undefined],
    ['1e3 ms', undefined],
    ['.5 s', undefined], ['5. s', undefined], ['1,5 s', undefined], ['5 min utes', undefined], ['٣ minutes', undefined],
    ['Infinity s', undefined],
    ['5 constructor', undefined], ['5 valueof', undefined], [`${'9'.repeat(400)} ms`, undefined], ['9007199254740992 ms', undefined],
    [-1, undefined], [1.5, undefined], [NaN, undefined], [Infinity, undefined], [2 ** 53, undefined]
  ]
  for (const [text, ms] of read) t.equal(parseDuration(text), ms, String(text).slice(0, 30))
  t.equal(milliseconds('1 second'), 1000)
  t.throws(() => milliseconds('soon'), TypeError)
  t.end()
})

t.test('any text is a whole number of milliseconds or none', t => {
  const units = fc.constantFrom('ms', 's', 'm', 'h', 'd', 'second', 'Minutes', 'x')
  const text = fc.array(fc.nat(0xffff)).map(codes => String.fromCharCode(...codes))
  const written = fc.tuple(fc.double(), fc.constantFrom('', ' ', '\t\n'), units).map(parts => parts.join(''))
  fc.assert(fc.property(fc.oneof(text, written, fc.double()), value => {
    const ms = parseDuration(value)
    return ms === undefined || (Number.isSafeInteger(ms) && ms >= 0)
  }))
  fc.assert(fc.property(fc.nat(1_000_000), n => parseDuration(`${n} s`) === parseDuration(n * 1000)))
  t.end()
})

t.test('suggestions', t => {
  const options = ['origins', 'credentials', 'methods', 'requestHeaders', 'maxAge']
  const meant: [string, string | undefined][] = [
    ['orgins', 'origins'], ['origin', 'origins'], ['Origins', 'origins'], ['allowedOrigins', 'origins'], ['credentails', 'credentials'],
    ['maxage', 'maxAge'], ['max_age', 'maxAge'], ['request_headers', 'requestHeaders'], ['method', 'methods'],
    ['colour', undefined], ['', undefined], ['x', undefined], ['__proto__', undefined]
  ]
  for (const [name, candidate] of meant) t.equal(suggest(name, options), candidate, name)
  t.equal(suggest('x', []), undefined)
  t.equal(suggest('rloe', ['role', 'scope']), 'role', 'neighbours that changed places are one slip')
  t.equal(suggest('issuer', ['issuers', 'issuer']), 'issuer', 'the same name wins')
  t.end()
})

t.test('edit distance is a distance', t => {
  t.equal(editDistance('scope', 'scope'), 0)
  t.equal(editDistance('scoep', 'scope'), 1)
  t.equal(editDistance('', 'abc'), 3)
  t.equal(editDistance('abc', ''), 3)
  fc.assert(fc.property(fc.string(), fc.string(), (a, b) => {
    const distance = editDistance(a, b)
    return distance === editDistance(b, a) && (distance === 0) === (a === b) && distance <= Math.max(a.length, b.length) &&
      distance >= Math.abs(a.length - b.length)
  }))
  t.end()
})

t.test('unknown options name what exists', t => {
  const problems = new Problems()
  unknownOption('zzz', ['alpha', 'beta'], 'o.zzz', problems)
  unknownOption('zzz', [], 'o.zzz', problems)
  t.strictSame(problems.list().map(({ code }) => code), ['SECURE_API_OPTION_UNKNOWN', 'SECURE_API_OPTION_UNKNOWN'])
  t.match(problems.list()[0]?.fix, 'alpha, beta')
  t.match(problems.list()[1]?.fix, 'none')
  t.end()
})

function environment (env: NodeJS.ProcessEnv) {
  const problems = new Problems()
  const read = readEnvironment(problems, env)
  return { read, problems: problems.list().map(({ code, path }) => `${code.replace('SECURE_API_', '')} ${path}`) }
}

const complete = { SECURE_API_ISSUER: 'https://a.example', SECURE_API_AUDIENCE: 'api://a' }

t.test('the environment is production unless something else was said', t => {
  for (const [option, value, expected] of [
    [undefined, undefined, 'production'], [undefined, '', 'production'], [undefined, 'prod', 'production'],
    [undefined, 'Development', 'production'],
    [undefined, 'development', 'development'], [undefined, 'test', 'development'], ['production', 'development', 'production'],
    ['development', 'production', 'development']
  ] as const) t.equal(environmentOf(option, value === undefined ? {} : { NODE_ENV: value }), expected)
  t.end()
})

t.test('variables', t => {
  t.strictSame(environment({}), {
    read: {},
    problems: ['ENVIRONMENT_MISSING SECURE_API_ISSUER',
      'ENVIRONMENT_MISSING SECURE_API_AUDIENCE']
  })
  t.strictSame(environment({ ...complete, SECURE_API_CORS_ORIGINS: ' a,b\n', SECURE_API_REDIS_URL: 'redis://r' }), {
    read: { issuer: 'https://a.example', audience: 'api://a', origins: 'a,b', redis: 'redis://r' }, problems: []
  })
  t.strictSame(environment({ ...complete, SECURE_API_ISSUER: ' ' }).problems, ['OPTION_EMPTY SECURE_API_ISSUER'],
    'set but empty is not missing too')
  t.strictSame(environment({ ...complete, SECURE_API_REDIS_URL: '' }).problems, ['OPTION_EMPTY SECURE_API_REDIS_URL'])
  t.end()
})

t.test('variables that name files', t => {
  const folder = t.testdir({ issuer: 'https://file.example\n', empty: ' \n', marked: '\uFEFFapi://bom' })
  const file = (name: string) => join(folder, name)
  const audience = { SECURE_API_AUDIENCE: 'api://a' }
  t.strictSame(environment({ SECURE_API_ISSUER_FILE: file('issuer'), SECURE_API_AUDIENCE_FILE: file('marked') }), {
    read: { issuer: 'https://file.example', audience: 'api://bom' }, problems: []
  })
  for (const path of [file('empty'), file('absent'), folder, '', 'nul\0l']) {
    t.strictSame(environment({ ...audience, SECURE_API_ISSUER_FILE: path }).problems, ['ENVIRONMENT_FILE SECURE_API_ISSUER_FILE'])
  }
  t.strictSame(environment({ ...complete, SECURE_API_ISSUER_FILE: file('issuer') }),
    { read: { audience: 'api://a' }, problems: ['ENVIRONMENT_BOTH_SET SECURE_API_ISSUER'] }, 'neither wins')
  t.end()
})

function thrown (problems: Problems): ConfigurationError {
  try {
    problems.throwIfAny()
  } catch (error) {
    if (error instanceof ConfigurationError) return error
  }
  throw new Error('nothing was thrown')
}

t.test('a file with a secret: others may neither read nor replace it', async t => {
  const file = join(t.testdir({ secret: 'redis://:secret@redis' }), 'secret')
  const modes = (owner: number) => [0o600, 0o400, 0o700, 0o640, 0o440, 0o660, 0o620, 0o644, 0o604, 0o602, 0o666].filter(mode => {
    chmodSync(file, mode)
    if (process.getuid?.() === 0) chownSync(file, owner, owner)
    return secretFileFault(file) === undefined
  })
  t.strictSame(modes(12345), [0o600, 0o400, 0o700])
  if (process.getuid?.() === 0) t.strictSame(modes(0), [0o600, 0o400, 0o700, 0o640, 0o440], "root's file may be shared with a group")
  chmodSync(file, 0o644)
  symlinkSync(file, `${file}.link`)
  t.match(secretFileFault(`${file}.link`)?.why, /644/, 'what the link leads to counts')
  t.notMatch(JSON.stringify(secretFileFault(file)), /redis/)
  t.equal(secretFileFault('/nowhere/secret'), undefined, 'reading it will tell')

  const env = { SECURE_API_ISSUER: 'https://login.example.com', SECURE_API_AUDIENCE: 'api', SECURE_API_REDIS_URL_FILE: file }
  const found = (NODE_ENV: string) => {
    const [problems, warnings] = [new Problems(), new Problems()]
    const { redis } = readEnvironment(problems, { ...env, NODE_ENV }, warnings)
    return [redis, ...[problems, warnings].map(list => list.list().map(({ code, path }) => `${code} ${path}`))]
  }
  const told = ['SECURE_API_SECRET_FILE_MODE SECURE_API_REDIS_URL_FILE']
  t.strictSame(found('production'), ['redis://:secret@redis', told, []])
  t.strictSame(found('development'), ['redis://:secret@redis', [], told])
  chmodSync(file, 0o600)
  t.strictSame(found('production'), ['redis://:secret@redis', [], []])
})

t.test('15 C7: a file that decides whom to trust: others may read it, and not replace it', async t => {
  const file = join(t.testdir({ issuer: 'https://login.example.com' }), 'issuer')
  const env = { SECURE_API_ISSUER_FILE: file, SECURE_API_AUDIENCE_FILE: file, SECURE_API_CORS_ORIGINS_FILE: file }
  const found = (mode: number, NODE_ENV: string) => {
    chmodSync(file, mode)
    const [problems, warnings] = [new Problems(), new Problems()]
    readEnvironment(problems, { ...env, NODE_ENV }, warnings)
    return [problems, warnings].map(list => list.list().map(({ code, path }) => `${code} ${path}`))
  }
  const told = Object.keys(env).map(name => `SECURE_API_TRUST_FILE_MODE ${name}`)
  for (const mode of [0o444, 0o644, 0o600, 0o755]) t.strictSame(found(mode, 'production'), [[], []], mode.toString(8))
  for (const mode of [0o666, 0o664, 0o622, 0o777]) {
    t.strictSame(found(mode, 'production').map(list => list.sort()), [told.sort(), []],
      mode.toString(8))
  }
  t.strictSame(found(0o666, 'development').map(list => list.sort()), [[], told.sort()])
})

t.test('keys whose private half is printed somewhere', async t => {
  for (const { name, jwk } of joseVectors) {
    const place = publishedIn(createPublicKey({ key: jwk, format: 'jwk' }))
    t.equal(place?.split(' ').slice(0, 2).join(' '), name.split(' ').slice(0, 2).join(' '), name)
  }
  const pem = (base64: string) => createPublicKey(`-----BEGIN PUBLIC KEY-----\n${base64}\n-----END PUBLIC KEY-----\n`)
  const jwtIo = 'MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEVs/o5+uQbTjL3chynL4wXgU' +
    'g2R9q9UU8I5mEovUf86QZ7kOBIjJwqnzD1omageEHWwHdBO6B+dFabmdT9POxg=='
  t.equal(publishedIn(pem(jwtIo)), 'jwt.io, ES256')
  t.equal(publishedIn(generateKeyPairSync('ed25519').publicKey), undefined)
})

t.test('one mistake gives the error its code, several have a code of their own', t => {
  const problems = new Problems()
  t.equal(problems.any, false)
  t.doesNotThrow(() => problems.throwIfAny())
  problems.add('SECURE_API_OPTION_MISSING', 'auth.audience', 'why', 'fix')
  const one = thrown(problems)
  t.ok(one instanceof AggregateError)
  t.equal(one.name, 'ConfigurationError')
  t.equal(one.code, 'SECURE_API_OPTION_MISSING')
  problems.add('SECURE_API_OPTION_TYPE', 'cors', 'why', 'fix')
  const both = thrown(problems)
  t.equal(both.code, 'SECURE_API_CONFIGURATION')
  t.strictSame(both.errors.map(({ code, path, fix }) => [code, path, fix]),
    [['SECURE_API_OPTION_MISSING', 'auth.audience', 'fix'], ['SECURE_API_OPTION_TYPE', 'cors', 'fix']])
  for (const error of both.errors) {
    t.ok(error instanceof ProblemError)
    t.ok(both.message.includes(error.message) && both.message.includes(error.code), 'the summary holds each of them')
  }
  t.end()
})
