import { X509Certificate } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { readCertificate } from '../../../lib/certificates/certificate.ts'
import { readForwarded, type ForwardedFormat } from '../../../lib/certificates/forwarded.ts'
import { CertificatePrincipals, readTrust, TrustFiles, type TrustStatus } from '../../../lib/certificates/index.ts'
import { nameOf, readSan, readThumbprint } from '../../../lib/certificates/names.ts'
import { readRevocationLists } from '../../../lib/certificates/revocation-list.ts'
import { judgeCertificate, type Trust } from '../../../lib/certificates/trust.ts'
import { authority, Certificates, type Issued } from '../server/certificates.ts'

const folder = t.testdir({})
const certificates = new Certificates(folder)
const ca = certificates.issue({ name: 'clients', extensions: authority })
const other = certificates.issue({ name: 'others', extensions: authority })
const issue = (names: readonly string[], issuer: Issued = ca, more: readonly string[] = ['extendedKeyUsage=clientAuth']) =>
  certificates.issue({ name: 'client', issuer, extensions: [...more, 'subjectAltName=@names', '[names]', ...names] })
const orders = issue(['URI.1=spiffe://example.org/ns/shop/sa/orders', 'DNS.1=Orders.Internal', 'IP.1=10.0.0.1'])
const derOf = ({ cert }: Issued) => new X509Certificate(cert).raw
const read = (issued: Issued) => readCertificate(derOf(issued))
const hash = ({ cert }: Issued) => new X509Certificate(cert).fingerprint256.replaceAll(':', '').toLowerCase()

t.test('the names of a certificate come from its bytes', async t => {
  t.match(read(orders), {
    names: ['uri:spiffe://example.org/ns/shop/sa/orders', 'dns:orders.internal'],
    thumbprint: Buffer.from(hash(orders), 'hex').toString('base64url')
  })
  t.strictSame(read(certificates.issue({ name: 'none', issuer: ca, extensions: ['extendedKeyUsage=clientAuth'] }))?.names, [],
    'a common name is no name')
})

t.test('CVE-2021-44532: a certificate with a name that can be read in two ways is refused', async t => {
  for (const name of [
    'DNS.1=a.internal, DNS:admin.internal', 'DNS.1=a.internal", DNS:admin.internal',
    'URI.1=spiffe://example.org/a, URI:spiffe://example.org/admin',
    'URI.1=spiffe://example.org/a b', 'DNS.1=a.internal\\\\, DNS:admin', 'DNS.1=a..internal', 'DNS.1=a.*.internal', 'DNS.1=-a.internal',
    'URI.1=nothing'
  ]) {
    const odd = issue([name])
    t.ok(new X509Certificate(odd.cert).subjectAltName, name)
    t.equal(read(odd), undefined, name)
  }
  t.equal(nameOf('dns', 'a.internal\0.evil'), undefined)
  t.equal(nameOf('dns', `${'a.'.repeat(2000)}a`), undefined)
})

t.test('bytes that are no certificate are none, whatever they are', async t => {
  const der = derOf(orders)
  fc.assert(fc.property(fc.nat(der.length - 1), fc.nat(255), (at, byte) => {
    const changed = Buffer.from(der)
    changed[at] = byte
    readCertificate(changed)
  }))
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), bytes => readCertificate(Buffer.from(bytes)) === undefined))
  t.equal(readCertificate(Buffer.concat([der, Buffer.from([0])])), undefined, 'OpenSSL would read what comes first')
})

t.test('names of principals: exact ones, and patterns that cannot reach further', async t => {
  const fits = (written: string, name: string) => {
    const found = readSan(written)
    return found === undefined ? undefined : 'exact' in found ? found.exact === name : found.pattern.test(name)
  }
  t.equal(fits('dns:Orders.internal', 'dns:orders.internal'), true)
  t.equal(fits('dns:*.shop.internal', 'dns:orders.shop.internal'), true)
  t.equal(fits('dns:*.shop.internal', 'dns:a.orders.shop.internal'), false)
  t.equal(fits('dns:*.shop.internal', 'dns:shop.internal'), false)
  t.equal(fits('dns:*.shop.internal', 'dns:ordersxshop.internal'), false)
  t.equal(fits('uri:spiffe://example.org/ns/*/sa/orders', 'uri:spiffe://example.org/ns/shop/sa/orders'), true)
  t.equal(fits('uri:spiffe://example.org/ns/*/sa/orders', 'uri:spiffe://example.org/ns/a/b/sa/orders'), false)
  t.equal(fits('uri:spiffe://example.org/ns/*/sa/orders', 'uri:spiffe://example.org/ns/../sa/orders'), false)
  t.equal(fits('uri:spiffe://example.org/ns/*', 'uri:spiffe://example.org/ns/..'), false)
  t.equal(fits('uri:spiffe://example.org/ns/*', 'uri:spiffe://example.org/ns/a%2fb'), false)
  t.equal(fits('uri:spiffe://example.org/a', 'uri:spiffe://example.org/A'), false)
  for (const wrong of [
    'orders.internal', 'ip:10.0.0.1', 'dns:', 'dns:*', 'dns:*.internal', 'dns:a.*.internal', 'dns:a*.shop.internal', 'dns:a b',
    'uri:orders',
    'uri:spiffe://*/ns/a', 'uri:spiffe://example.org/ns/a*', 'uri:https://example.org/*', 'uri:spiffe://example.org/*/../a', 'email:a@b'
  ]) t.equal(readSan(wrong), undefined, wrong)
})

t.test('thumbprints in hex and base64url', async t => {
  const hex = hash(orders)
  const base64url = Buffer.from(hex, 'hex').toString('base64url')
  for (const written of [hex, hex.toUpperCase(), hex.match(/../g)?.join(':') ?? '', base64url]) t.equal(readThumbprint(written), base64url)
  for (const wrong of ['', hex.slice(1), `${hex}0`, base64url.slice(1), `${base64url}=`, 'orders']) {
    t.equal(readThumbprint(wrong), undefined, wrong)
  }
})

t.test('the principal of a certificate: one certificate before a name, a name before a pattern, and never a guess', async t => {
  const principals = new CertificatePrincipals([
    { san: 'dns:orders.internal', subject: 'by-host' },
    { san: 'dns:billing.internal', subject: 'billing' },
    { san: 'uri:spiffe://example.org/ns/*/sa/orders', subject: 'by-pattern', scopes: ['read'], roles: ['r'], tenant: 't' },
    { san: 'uri:spiffe://example.org/ns/shop/*', subject: 'other-pattern' },
    { thumbprint: hash(orders), subject: 'by-thumbprint' },
    { san: 'dns:*.shop.internal', subject: 'wild' }
  ])
  const presented = { thumbprint: undefined, serial: '01', notBefore: 0, notAfter: 5 }
  const subject = (...names: string[]) => principals.find({ ...presented, names })?.subject
  const certificate = read(orders)
  t.equal(certificate && principals.find(certificate)?.subject, 'by-thumbprint')
  t.equal(subject('uri:spiffe://example.org/ns/shop/sa/orders', 'dns:orders.internal'), 'by-host')
  t.equal(subject('dns:billing.internal', 'dns:orders.internal'), undefined, 'two principals')
  t.equal(subject('uri:spiffe://example.org/ns/a/sa/orders', 'uri:https://b.example'), undefined, 'a SPIFFE ID stands alone')
  t.equal(subject('dns:*.shop.internal'), undefined, 'the wildcard of a server names nobody')
  t.equal(subject('dns:a.shop.internal'), 'wild')
  t.equal(subject(), undefined)
  const found = principals.find({ ...presented, names: ['uri:spiffe://example.org/ns/a/sa/orders'] })
  t.match(found, {
    ...{ kind: 'service', credential: 'certificate', subject: 'by-pattern', client: 'uri:spiffe://example.org/ns/a/sa/orders' },
    ...{ issuer: 'client-certificate', tenant: 't', expiresAt: 5 },
    claims: { san: ['uri:spiffe://example.org/ns/a/sa/orders'], serial: '01' }
  })
  t.strictSame([[...found?.scopes ?? []], [...found?.roles ?? []]], [['read'], ['r']])
  t.throws(() => { (found?.claims as { serial: string }).serial = 'x' })
})

const headers: Readonly<Record<ForwardedFormat, (issued: Issued) => string>> = {
  rfc9440: issued => `:${derOf(issued).toString('base64')}:`,
  nginx: ({ cert }) => encodeURIComponent(cert),
  envoy: issued => `By=spiffe://example.org/ns/shop/sa/api;Hash=${hash(issued)};Cert="${encodeURIComponent(issued.cert)}";` +
    'Subject="CN=\\"a\\", b";URI=;DNS=x'
}
const formats = Object.entries(headers) as Array<[ForwardedFormat, (issued: Issued) => string]>

t.test('each format of proxies is read, and nothing but it', async t => {
  for (const [format, header] of formats) {
    t.equal(readForwarded(format, header(orders))?.thumbprint, read(orders)?.thumbprint ?? 'none', format)
    for (const [of, foreign] of formats) if (of !== format) t.equal(readForwarded(format, foreign(orders)), undefined, `${of} as ${format}`)
  }
  const base64 = derOf(orders).toString('base64')
  const padded = base64.endsWith('=') ? base64.replace(/=+$/, '') : `${base64}=`
  const wrong: ReadonlyArray<readonly [ForwardedFormat, string]> = [
    ['rfc9440', base64], ['rfc9440', `:${base64}:;a=1`], ['rfc9440', `:${base64}:, :${base64}:`], ['rfc9440', ` :${base64}:`],
    ['rfc9440', '::'],
    ['rfc9440', ':AAAA:'], ['rfc9440', `:${derOf(orders).toString('base64url')}_:`], ['rfc9440', `:${padded}:`],
    ['nginx', orders.cert], ['nginx', encodeURIComponent(orders.cert + other.cert)], ['nginx', `${encodeURIComponent(orders.cert)}%`],
    ['nginx', encodeURIComponent(`${orders.cert}x`)], ['nginx', '%FF%FE'], ['nginx', encodeURIComponent(orders.key)], ['nginx', '-'],
    ['nginx', 'a'.repeat(20_000)]
  ]
  for (const [format, value] of wrong) t.equal(readForwarded(format, value), undefined, `${format}: ${value.slice(0, 40)}`)
})

t.test('x-forwarded-client-cert: the last element counts, and is the one that the proxy added', async t => {
  const own = `Hash=${hash(orders)};URI=spiffe://example.org/a`
  const names = (value: string) => readForwarded('envoy', value)?.names
  t.strictSame(names(own), ['uri:spiffe://example.org/a'])
  t.strictSame(names(`URI=spiffe://example.org/admin,${own}`), ['uri:spiffe://example.org/a'])
  t.strictSame(names(`URI=spiffe://example.org/admin, ${own}`), ['uri:spiffe://example.org/a'])
  t.strictSame(names('Subject="a;URI=spiffe://x/y,b\\"";dns=a.b;DNS=c.d'), ['dns:a.b', 'dns:c.d'])
  t.equal(names(`Hash=${hash(orders)}`)?.length, 0)
  for (const wrong of [
    '', ',', ';', own + ',', own + ';', `,${own}`, '"', 'URI', '=a', 'URI="a', 'URI=a"b', 'URI="a"b', 'Subject="x', 'Hash=zz;URI=spiffe://a/b',
    `Hash=${hash(other)};Cert="${encodeURIComponent(orders.cert)}"`, `Hash=${hash(orders)};Hash=${hash(other)}`, 'URI=a b', 'Cert="x"',
    // A caller opens a quote, to swallow what the proxy adds.
    `Subject="x,${own};Subject="CN=evil";URI=spiffe://example.org/admin`, `URI=spiffe://example.org/admin;Subject="x,${own}`
  ]) t.equal(readForwarded('envoy', wrong), undefined, wrong)
})

t.test('any text in a header is read or refused, and never thrown at', async () => {
  const marks = [',', ';', '=', '"', '\\', 'URI=', 'Cert="', 'Hash=', 'By=spiffe://a/b', 'spiffe://a/b', ':', '%', '%41']
  const piece = fc.oneof(fc.string(), fc.constantFrom(...marks, headers.nginx(orders), headers.rfc9440(orders)))
  fc.assert(fc.property(fc.constantFrom(...formats.map(([format]) => format)), fc.array(piece, { maxLength: 8 }), (format, pieces) => {
    const found = readForwarded(format, pieces.join(''))
    return found === undefined || Array.isArray(found.names)
  }), { numRuns: 2000 })
  const pair = fc.tuple(fc.constantFrom('By', 'Subject'), fc.string({ unit: fc.constantFrom('a', '"', ',', ';', '=', '\\', ' ') }))
  const written = ([key, value]: readonly [string, string]) => `${key}="${value.replace(/["\\]/g, '\\$&')}"`
  fc.assert(fc.property(fc.array(fc.array(pair, { minLength: 1, maxLength: 3 }), { maxLength: 3 }), before => {
    const text = [...before.map(pairs => pairs.map(written).join(';')), 'URI=spiffe://example.org/a'].join(',')
    return readForwarded('envoy', text)?.names.join() === 'uri:spiffe://example.org/a'
  }))
})

const trustOf = (ca: string, crl?: string): Trust => {
  const trust = readTrust({ ca, crl })
  if ('part' in trust) throw new Error(trust.why)
  return trust
}
const crlFile = join(folder, 'crl.pem')
const listOf = (issuer: Issued, revoked: readonly Issued[]) => {
  certificates.revoke(issuer, revoked, crlFile)
  return readFileSync(crlFile, 'utf8')
}

t.test('a certificate is good where an authority issued it for clients, in its time, and no list has it', async t => {
  // openssl writes the time at which it runs.
  const now = Date.now() + 3_600_000
  const judge = (issued: Issued, trust: Trust, at = now) => {
    const certificate = read(issued)
    const judged = certificate && judgeCertificate(certificate, trust, at)
    return typeof judged === 'object' ? 'good' : judged
  }
  const bare = trustOf(ca.cert)
  t.equal(judge(orders, bare), 'good')
  t.equal(judge(issue(['DNS.1=a.b'], other), bare), 'SECURE_API_CERTIFICATE_UNKNOWN')
  t.equal(judge(issue(['DNS.1=a.b'], other), trustOf(ca.cert + other.cert)), 'good')
  t.equal(judge(certificates.issue({ extensions: ['subjectAltName=DNS:a.b'] }), bare), 'SECURE_API_CERTIFICATE_UNKNOWN', 'self-signed')
  t.equal(judge(issue(['DNS.1=a.b'], ca, ['extendedKeyUsage=serverAuth']), bare), 'SECURE_API_CERTIFICATE_UNKNOWN', 'of a server')
  t.equal(judge(issue(['DNS.1=a.b'], ca, ['basicConstraints=CA:FALSE']), bare), 'good', 'for every purpose')
  const namesake = certificates.issue({ name: 'clients', extensions: authority })
  t.equal(judge(issue(['DNS.1=a.b'], namesake), bare), 'SECURE_API_CERTIFICATE_UNKNOWN', 'an authority of the same name')
  t.equal(judge(orders, bare, read(orders)?.notAfter), 'SECURE_API_CERTIFICATE_UNKNOWN', 'its authority ends at the same time here')
  const long = certificates.issue({ name: 'long', days: 900, extensions: authority })
  const short = issue(['DNS.1=a.b'], long)
  const { notBefore = 0, notAfter = 0 } = read(short) ?? {}
  t.equal(judge(short, trustOf(long.cert), notAfter), 'SECURE_API_CERTIFICATE_EXPIRED')
  t.equal(judge(short, { authorities: undefined, lists: undefined }, notBefore - 1), 'SECURE_API_CERTIFICATE_EXPIRED')
  const listed = trustOf(ca.cert, listOf(ca, [orders]))
  t.equal(judge(orders, listed), 'SECURE_API_CERTIFICATE_REVOKED')
  t.equal(judge(issue(['DNS.1=a.b']), listed), 'good')
  t.equal(judge(issue(['DNS.1=a.b']), listed, now + 31 * 86_400_000), 'unavailable', 'a list that is over')
  t.equal(judge(short, { authorities: undefined, lists: listed.lists }), 'unavailable', 'no list of its authority')
})

t.test('lists and authorities that cannot be used', async t => {
  const good = listOf(ca, [orders])
  const foreign = listOf(other, [])
  const faultOf = (texts: { ca?: string, crl?: string }, verified = false) => {
    const trust = readTrust(texts, verified)
    return 'part' in trust ? trust.part : 'good'
  }
  t.equal(faultOf({ ca: ca.cert, crl: good }), 'good')
  t.equal(faultOf({ ca: ca.cert, crl: good + foreign }), 'crl')
  t.equal(faultOf({ ca: ca.cert, crl: good + foreign }, true), 'good', 'TLS knows authorities between')
  t.equal(faultOf({ ca: ca.cert + other.cert, crl: good }), 'crl', 'one has none')
  t.equal(faultOf({ ca: ca.cert + other.cert, crl: good + foreign }), 'good')
  const namesake = certificates.issue({ name: 'clients', extensions: authority })
  t.equal(faultOf({ ca: namesake.cert, crl: good }), 'crl', 'another key')
  t.equal(faultOf({ ca: namesake.cert, crl: good }, true), 'crl', 'another key, with TLS')
  t.equal(faultOf({ ca: ca.key }), 'ca')
  t.equal(faultOf({ ca: orders.cert }), 'ca', 'not an authority')
  for (const crl of ['', 'x', orders.cert, good.replace('END', 'AND'), good.slice(0, 200), `${good}-----BEGIN X509 CRL-----`]) {
    t.equal(faultOf({ ca: ca.cert, crl }), 'crl', crl.slice(0, 30))
  }
  const der = Buffer.from(good.replace(/-----.*-----|\s/g, ''), 'base64')
  const pem = (bytes: Buffer) => `-----BEGIN X509 CRL-----\n${bytes.toString('base64')}\n-----END X509 CRL-----\n`
  t.equal(readRevocationLists(pem(der))?.length, 1)
  fc.assert(fc.property(fc.nat(der.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
    const changed = Buffer.from(der)
    changed[at] = (changed[at] ?? 0) ^ change
    return faultOf({ ca: ca.cert, crl: pem(changed) }) === 'crl'
  }), { numRuns: 500 })
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), bytes => readRevocationLists(pem(Buffer.from(bytes))) === undefined))
})

t.test('of two lists of one authority the later one counts', async t => {
  const [list] = readRevocationLists(listOf(ca, [orders])) ?? []
  t.ok(list)
  t.match([...list?.serials ?? []], [read(orders)?.serial])
})

t.test('files are read again by content, and what cannot be used never replaces what counts', async t => {
  const [caFile, lists] = [join(folder, 'files.ca'), join(folder, 'files.crl')]
  writeFileSync(caFile, ca.cert)
  writeFileSync(lists, listOf(ca, []))
  const told: TrustStatus[] = []
  let next: () => unknown = () => { throw new Error('stopped') }
  const schedule = (callback: () => unknown) => { next = callback; return () => {} }
  const files = new TrustFiles({ sources: { ca: caFile, crl: lists }, tell: status => { told.push(status) }, schedule })
  files.start()
  const first = files.trust
  await next()
  t.equal(files.trust, first, 'the same content')
  t.strictSame(told, [])
  writeFileSync(lists, listOf(ca, [orders]))
  await next()
  t.not(files.trust, first)
  t.strictSame(files.status(), { ok: true, revoked: 1 })
  for (const broken of ['', 'x', listOf(other, [])]) {
    writeFileSync(lists, broken)
    await next()
    t.match(files.status(), { ok: false, revoked: 1 })
  }
  t.equal(told.length, 3, 'each fault once')
  writeFileSync(lists, listOf(ca, []))
  await next()
  t.strictSame(told.at(-1), { ok: true, revoked: 0 })
  files.stop()
  writeFileSync(lists, '')
  await next()
  t.equal(told.length, 4, 'nothing after the end')
  t.throws(() => new TrustFiles({ sources: { ca: join(folder, 'none') }, tell: () => {} }), { message: 'the file is unreadable' })
})
