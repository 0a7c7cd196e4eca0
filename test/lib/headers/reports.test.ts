import fc from 'fast-check'
import t from 'tap'
import { readReports } from '../../../lib/headers/index.ts'

interface Stated { readonly blockedURL?: string, readonly documentURL?: string, readonly violatedDirective?: string }

function read (body: Stated) {
  const text = JSON.stringify([{ type: 'csp-violation', body }])
  const [violation] = readReports('application/reports+json', text, { max: 1, sample: false })?.violations ?? []
  return violation
}

const cut = (text: string) => text.slice(0, 200)
const scheme = fc.constantFrom('http', 'https', 'ws', 'wss', 'ftp')
const host = fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6().map(ip => `[${ip}]`), fc.constantFrom('localhost', 'bücher.example', 'a_b.example'))
const user = fc.constantFrom('', 'user@', 'user:secret@', 'user%40:p@ss@', ':@')
const port = fc.oneof(fc.constant(''), fc.integer({ min: 0, max: 65_535 }).map(number => `:${number}`))
const path = fc.oneof(fc.webPath(), fc.string().map(text => `/${text}`), fc.string({ unit: 'binary' }).map(text => `/${text}`))
const query = fc.constantFrom('', '?', '?token=secret', '#part', '?a#b', '?/../x', '?a@b')

t.test('of a URL as browsers serialize it the origin and the page are kept, as a parser of URLs tells them', async () => {
  fc.assert(fc.property(scheme, user, host, port, path, query, (...pieces) => {
    const [first, ...rest] = pieces
    const stated = `${first}://${rest.join('')}`
    if (!URL.canParse(stated)) return
    const url = new URL(stated)
    // What is longer is cut before it is read.
    if (url.href.length > 500) return
    const expected = { blocked: cut(url.origin), document: cut(`${url.origin}${url.pathname}`) }
    const found = read({ blockedURL: url.href, documentURL: url.href })
    return found?.blocked === expected.blocked && found.document === expected.document
  }), { numRuns: 3000 })
})

t.test('whatever a report states, neither credentials nor queries nor other text get out of it', async () => {
  const piece = fc.constantFrom('https://', 'blob:', '//', 'secret', ':', '@', '/', '\\', '?', '#',
    '[', ']', ' ', '\t', '\n', 'é', '"', '%', '.')
  const stated = fc.array(piece, { maxLength: 12 }).map(pieces => pieces.join(''))
  fc.assert(fc.property(stated, text => {
    const found = read({ blockedURL: `https://${text}`, documentURL: `https://${text}` })
    const safe = /^(?:other|(?:https:\/\/)[a-z.:[\]]+(?:\/[^?#\s"\\]*)?)$/
    return found !== undefined && safe.test(found.blocked) && safe.test(found.document) && !/[?#]/.test(found.document)
  }), { numRuns: 3000 })
})

t.test('what a URL holds behind a backslash is path, up to an @ too', async t => {
  for (const stated of ['https://a.example\\@secret/p', 'https://a.example\\secret@secret', 'blob:https://a.example\\@secret']) {
    t.match(read({ blockedURL: stated, documentURL: stated }), { blocked: 'https://a.example', document: 'other' }, stated)
  }
  t.match(read({ blockedURL: 'https://user:secret\\@a.example', documentURL: '' }), { blocked: 'other' })
})

t.test('credentials are no host where the cut has taken their @ away', async t => {
  const host = 'h'.repeat(253)
  t.match(read({ blockedURL: `https://${host}:8443/p` }), { blocked: `https://${host}`.slice(0, 200) })
  for (const user of ['s'.repeat(500), `user:${'7'.repeat(500)}`, `[${'5'.repeat(500)}`]) {
    const stated = `https://${user}@a.example/p`
    t.match(read({ blockedURL: stated, documentURL: stated }), { blocked: 'other', document: 'other' }, stated.slice(0, 20))
  }
})

t.test('what has no origin is a word', async t => {
  const words: ReadonlyArray<readonly [stated: string, blocked: string]> = [
    ['inline', 'inline'], ['wasm-eval', 'wasm-eval'], ['data', 'data'], ['data:text/html,secret', 'data'],
    ['javascript:alert(1)', 'javascript'],
    ['blob:https://a.example/id', 'https://a.example'], ['blob:null/id', 'blob'], ['chrome-extension://abc/page', 'chrome-extension'],
    ['https:', 'other'], ['https://', 'other'], ['https://A.example/', 'other'],
    ['', 'other'], ['Some text', 'other'], ['x'.repeat(40), 'other']
  ]
  for (const [stated, blocked] of words) t.equal(read({ blockedURL: stated })?.blocked, blocked, stated)
  t.equal(read({ documentURL: 'about:blank' })?.document, 'other')
})

t.test('the directive of older browsers is followed by its sources', async t => {
  for (const stated of ['img-src', 'img-src https://a.example', "  img-src 'self' data:"]) {
    t.equal(read({ violatedDirective: stated })?.directive, 'img-src', stated)
  }
  for (const stated of ['', ' ', 'img-srcs', 'x img-src']) t.equal(read({ violatedDirective: stated })?.directive, 'other', stated)
})
