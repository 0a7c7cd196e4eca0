import fc from 'fast-check'
import t from 'tap'
import { compileOrigins, isFault, parseOrigin, type OriginPattern } from '../../../lib/cors/index.ts'

function pattern (text: string): OriginPattern {
  const parsed = parseOrigin(text)
  if (isFault(parsed)) throw new Error(`${text}: ${parsed.why}`)
  return parsed
}

const matcher = (...origins: string[]) => compileOrigins(origins.map(pattern))

t.test('entries that can be used', async t => {
  for (const text of [
    'https://example.com', 'http://example.com:8080', 'https://a-b.example.com', 'https://xn--bcher-kva.example',
    'https://sub_domain.example.com',
    'http://localhost', 'http://localhost:*', 'http://127.0.0.1:3000', 'http://[::1]:*', 'https://[2001:db8::1]', 'https://*.example.com',
    'https://*.example.com:*',
    'https://*.example.com:8443', 'http://example.com:443', 'https://example.com:80', 'https://example.com:65535',
    'capacitor://localhost', 'chrome-extension://abcdefghijklmnop', '*'
  ]) t.equal(isFault(parseOrigin(text)), false, text)
})

t.test('15 B5: origins that no browser sends are refused', async t => {
  for (const text of ['http://xn--f', 'https://xn--f.example.com', 'https://*.xn--f', 'http://xn--f:*', 'https://xn--a',
    'wss://example.com', 'ws://example.com', 'ftp://example.com', 'blob://x']) {
    const parsed = parseOrigin(text)
    t.equal(isFault(parsed) && parsed.code, 'SECURE_API_CORS_ORIGIN_INVALID', text)
  }
  for (const text of ['https://xn--bcher-kva.example', 'https://*.xn--bcher-kva.example:8443']) t.notOk(isFault(parseOrigin(text)), text)
})

t.test('entries that cannot, each with its code and a fix', async t => {
  const table: Array<[text: string, code: string, fix?: string]> = [
    ['null', 'SECURE_API_CORS_NULL_ORIGIN'],
    ['file://', 'SECURE_API_CORS_NULL_ORIGIN'],
    ['file:///x', 'SECURE_API_CORS_ORIGIN_INVALID'],
    ['https://example.com/', 'SECURE_API_CORS_ORIGIN_INVALID', "'https://example.com'"],
    ['https://example.com/app', 'SECURE_API_CORS_ORIGIN_INVALID', "'https://example.com'"],
    ['https://example.com?x', 'SECURE_API_CORS_ORIGIN_INVALID', "'https://example.com'"],
    ['https://example.com#x', 'SECURE_API_CORS_ORIGIN_INVALID', "'https://example.com'"],
    ['https://user:pw@example.com', 'SECURE_API_CORS_ORIGIN_INVALID', "'https://example.com'"],
    [' https://example.com', 'SECURE_API_CORS_ORIGIN_INVALID', "'https://example.com'"],
    ['https://example.com\n', 'SECURE_API_CORS_ORIGIN_INVALID', "'https://example.com'"],
    ['https://a.com,https://b.com', 'SECURE_API_CORS_ORIGIN_INVALID'],
    ['example.com', 'SECURE_API_CORS_ORIGIN_INVALID', "'https://example.com'"],
    ['localhost:3000', 'SECURE_API_CORS_ORIGIN_INVALID'],
    ['//example.com', 'SECURE_API_CORS_ORIGIN_INVALID'],
    ['://example.com', 'SECURE_API_CORS_ORIGIN_INVALID'],
    ['https://', 'SECURE_API_CORS_ORIGIN_INVALID'],
    ['https:example.com', 'SECURE_API_CORS_ORIGIN_INVALID'],
    ['HTTPS://example.com', 'SECURE_API_CORS_ORIGIN_INVALID', "'https://example.com'"],
    ['https://Example.com', 'SECURE_API_CORS_ORIGIN_INVALID', "'https://example.com'"],
    ['https://bücher.example', 'SECURE_API_CORS_ORIGIN_INVALID', "'https://xn--bcher-kva.example'"],
    ['https://example.com:443', 'SECURE_API_CORS_ORIGIN_INVALID', "'https://example.com'"],
    ['http://example.com:80', 'SECURE_API_CORS_ORIGIN_INVALID', "'http://example.com'"],
    ['https://example.com:', 'SECURE_API_CORS_ORIGIN_INVALID'],
    ['https://example.com:0', 'SECURE_API_CORS_ORIGIN_INVALID'],
    ['https://example.com:08080', 'SECURE_API_CORS_ORIGIN_INVALID'],
    ['https://example.com:65536', 'SECURE_API_CORS_ORIGIN_INVALID'],
    ['https://example.com:abc', 'SECURE_API_CORS_ORIGIN_INVALID'],
    ['https://example.com:80:80', 'SECURE_API_CORS_ORIGIN_INVALID'],
    ['https://example.com.', 'SECURE_API_CORS_ORIGIN_INVALID', "'https://example.com'"],
    ['https://.example.com', 'SECURE_API_CORS_ORIGIN_INVALID'],
    ['https://a..example.com', 'SECURE_API_CORS_ORIGIN_INVALID'],
    ['https://-a.example.com', 'SECURE_API_CORS_ORIGIN_INVALID'],
    ['https://a-.example.com', 'SECURE_API_CORS_ORIGIN_INVALID'],
    [`https://${'a'.repeat(64)}.com`, 'SECURE_API_CORS_ORIGIN_INVALID'],
    [`https://${'a.'.repeat(130)}com`, 'SECURE_API_CORS_ORIGIN_INVALID'],
    ['https://example!.com', 'SECURE_API_CORS_ORIGIN_INVALID'],
    ['https://127.1', 'SECURE_API_CORS_ORIGIN_INVALID', "'127.0.0.1'"],
    ['https://127.0.0.01', 'SECURE_API_CORS_ORIGIN_INVALID'],
    ['https://1.2.3.256', 'SECURE_API_CORS_ORIGIN_INVALID'],
    ['https://[0:0:0:0:0:0:0:1]', 'SECURE_API_CORS_ORIGIN_INVALID', "'[::1]'"],
    ['https://[::1', 'SECURE_API_CORS_ORIGIN_INVALID'],
    ['https://::1', 'SECURE_API_CORS_ORIGIN_INVALID'],
    ['https://[::1%25eth0]', 'SECURE_API_CORS_ORIGIN_INVALID'],
    ['/example\\.com$/', 'SECURE_API_CORS_ORIGIN_INVALID'],
    ['^https://.*\\.example\\.com$', 'SECURE_API_CORS_ORIGIN_INVALID'],
    ['https://*', 'SECURE_API_CORS_ORIGIN_PATTERN'],
    ['*://example.com', 'SECURE_API_CORS_ORIGIN_PATTERN'],
    ['http*://example.com', 'SECURE_API_CORS_ORIGIN_PATTERN'],
    ['https://api*.example.com', 'SECURE_API_CORS_ORIGIN_PATTERN'],
    ['https://*example.com', 'SECURE_API_CORS_ORIGIN_PATTERN'],
    ['https://api.*.com', 'SECURE_API_CORS_ORIGIN_PATTERN'],
    ['https://*.*.example.com', 'SECURE_API_CORS_ORIGIN_PATTERN'],
    ['https://**.example.com', 'SECURE_API_CORS_ORIGIN_PATTERN'],
    ['https://*.127.0.0.1', 'SECURE_API_CORS_ORIGIN_PATTERN'],
    ['https://*.[::1]', 'SECURE_API_CORS_ORIGIN_PATTERN'],
    ['https://example.com:8*', 'SECURE_API_CORS_ORIGIN_PATTERN'],
    ['https://example.com:**', 'SECURE_API_CORS_ORIGIN_PATTERN']
  ]
  for (const [text, code, fix] of table) {
    const parsed = parseOrigin(text)
    if (!isFault(parsed)) {
      t.fail(`${text} was accepted`)
      continue
    }
    t.equal(parsed.code, code, text)
    t.not(parsed.fix, '')
    if (fix !== undefined) t.ok(parsed.fix.includes(fix), `${text}: ${parsed.fix}`)
  }
})

/** What CORS scanners send to find origins that a sloppy comparison lets through. */
const bypasses = [
  'null', '', 'http://example.com', 'https://evilexample.com', 'https://example.com.evil.com', 'https://example.comevil.com',
  'https://example.co', 'https://example.com:8443',
  'https://example.com.', 'https://EXAMPLE.com', 'https://example.com/', 'https://example.com@evil.com',
  'https://evil.com#https://example.com', 'https://evil.com?https://example.com',
  'https://evil.com/https://example.com', 'https://examplexcom', 'https://example.com%60.evil.com', 'https://example.com_.evil.com',
  'https://example.com{.evil.com', 'https://example.com`.evil.com',
  'https://example.com!.evil.com', 'https://example.com%0d%0a', 'https://example.com, https://evil.com', ' https://example.com',
  'https://example.com ', 'https://example.com:443', 'https://example.com\u0000', 'https://xn--example-com.evil.com',
  'ftp://example.com', 'https:example.com', '//example.com', 'example.com', '*'
]

t.test('an exact origin matches itself and nothing else', async t => {
  const matches = matcher('https://example.com', 'https://other.example')
  t.ok(matches('https://example.com'))
  t.ok(matches('https://other.example'))
  for (const origin of [...bypasses, 'https://a.example.com']) t.notOk(matches(origin), origin)
})

t.test('a subdomain pattern respects labels, scheme and port', async t => {
  const matches = matcher('https://*.example.com')
  t.ok(matches('https://a.example.com'))
  t.ok(matches('https://a.b.example.com'))
  t.ok(matches('https://xn--bcher-kva.example.com'))
  for (const origin of [
    ...bypasses, 'https://example.com', 'http://a.example.com', 'https://a.example.com:8443', 'https://.example.com',
    'https://a..example.com', 'https://aexample.com',
    'https://a.example.com.evil.com', 'https://evil.com/.example.com', 'https://evil.com#.example.com', 'https://evil.com?.example.com',
    'https://evil.com:80.example.com',
    'https://evil@a.example.com', 'https://A.example.com', 'https://a.example.com.', 'https://a b.example.com', 'https://a%2e.example.com',
    'https://evil\r\n.example.com',
    'https://[::1].example.com', 'https://*.example.com', `https://${'a'.repeat(64)}.example.com`, `https://${'a.'.repeat(200)}example.com`
  ]) t.notOk(matches(origin), origin)
})

t.test('ports', async t => {
  const any = matcher('http://localhost:*', 'http://[::1]:*', 'https://*.example.com:*')
  for (const origin of ['http://localhost', 'http://localhost:1', 'http://localhost:65535', 'http://[::1]', 'http://[::1]:5173',
    'https://a.example.com', 'https://a.example.com:8443']) t.ok(any(origin), origin)
  for (const origin of ['http://localhost:', 'http://localhost:0', 'http://localhost:01', 'http://localhost:65536',
    'http://localhost:123456', 'http://localhost:1a', 'http://localhost:1:1', 'http://[::1]5173', 'http://a.localhost:1',
    'https://localhost:1']) t.notOk(any(origin), origin)

  const one = matcher('https://*.example.com:8443', 'https://*.example.com:9443')
  t.ok(one('https://a.example.com:8443'))
  t.ok(one('https://a.example.com:9443'))
  for (const origin of ['https://a.example.com', 'https://a.example.com:8444']) t.notOk(one(origin), origin)
})

t.test('any origin', async t => {
  t.ok(matcher('*')('https://evil.example'))
})

t.test('properties', async t => {
  const label = fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/)
  const host = fc.array(label, { minLength: 2, maxLength: 4 }).map(labels => labels.join('.'))

  t.doesNotThrow(() => fc.assert(fc.property(fc.string({ maxLength: 400 }), text => {
    const parsed = parseOrigin(text)
    return isFault(parsed) || /^[\x21-\x7e]+$/.test(parsed.text)
  })), 'parsing never throws, and accepts nothing that could break a header')

  t.doesNotThrow(() => fc.assert(fc.property(host, fc.string({ unit: 'binary', maxLength: 320 }), (base, junk) => {
    const matches = matcher(`https://*.${base}`, `https://${base}`)
    for (const origin of [junk, `https://${junk}`, `https://${junk}${base}`, `https://${junk}.${base}`, `https://${base}${junk}`]) {
      if (!matches(origin)) continue
      const url = new URL(origin)
      if (url.origin !== origin || (url.hostname !== base && !url.hostname.endsWith(`.${base}`))) return false
    }
    return true
  })), 'whatever a pattern matches is an origin under its domain, by the URL standard')

  t.doesNotThrow(() => fc.assert(fc.property(fc.array(host, { minLength: 1, maxLength: 5 }), host, (listed, asked) => {
    return matcher(...listed.map(name => `https://${name}`))(`https://${asked}`) === listed.includes(asked)
  })), 'a list of exact origins is a set')
})
