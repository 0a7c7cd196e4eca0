import { createServer, IncomingMessage, request as ask, ServerResponse } from 'node:http'
import { once } from 'node:events'
import { Socket, type AddressInfo } from 'node:net'
import fc from 'fast-check'
import t from 'tap'
import {
  addPairToHead, addToHead, addVary, expectRefusal, headPart, ownRefusal, refusal, setHead, writeBlocks, type HeadSet
} from '../../../lib/http/index.ts'

class BlockResponse extends ServerResponse<IncomingMessage> {}
t.ok(writeBlocks(BlockResponse), 'this runtime takes prepared heads')

/** Somebody's own class, for which only the public API is used; Node's own, and one as `secureServer()` brings along. */
class OtherResponse extends ServerResponse<IncomingMessage> {}
const classes = [OtherResponse, ServerResponse, BlockResponse] as (typeof ServerResponse)[]

const plan: HeadSet = Object.freeze({
  always: headPart([['x-frame-options', 'DENY'], ['x-content-type-options', 'nosniff']]),
  success: headPart([['cache-control', 'private']]),
  error: headPart([['cache-control', 'no-store']]),
  remove: new Set(['server', 'x-powered-by'])
})
const cors = headPart([['access-control-allow-origin', 'https://app.example.com'], ['vary', 'Origin']])
const ours = {
  'x-frame-options': 'DENY',
  'x-content-type-options': 'nosniff',
  'access-control-allow-origin': 'https://app.example.com',
  vary: 'Origin',
  ratelimit: '"read";r=1;t=2'
}
const ignored = new Set(['date', 'connection', 'keep-alive', 'content-length', 'transfer-encoding'])

type Answer = (response: ServerResponse) => void

/** What came over the wire, once for each class of responses. */
async function answers (answer: Answer, first: Answer = () => {}, among = classes): Promise<Record<string, unknown>[]> {
  return Promise.all(among.map(async Response => {
    const server = createServer({ ServerResponse: Response }, (_, response) => {
      first(response)
      setHead(response, plan)
      addToHead(response, cors)
      addPairToHead(response, 'ratelimit', '"read";r=1;t=2')
      answer(response)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const asking = ask({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', agent: false }).end()
    const [message] = await once(asking, 'response') as [IncomingMessage]
    const body = (await message.setEncoding('utf8').toArray()).join('')
    server.close()
    const names = message.rawHeaders.filter((_, index) => index % 2 === 0).map(name => name.toLowerCase())
    const twice = names.filter((name, index) => name !== 'set-cookie' && names.indexOf(name) !== index)
    return {
      ...Object.fromEntries(Object.entries(message.headers).filter(([name]) => !ignored.has(name))),
      status: message.statusCode,
      reason: message.statusMessage,
      body,
      twice
    }
  }))
}

const ok = { ...ours, 'cache-control': 'private', status: 200, reason: 'OK', body: 'done', twice: [] }
const cases: readonly (readonly [string, Answer, object])[] = [
  ['an object', r => r.writeHead(200, { 'content-type': 'text/plain' }).end('done'), { ...ok, 'content-type': 'text/plain' }],
  ['a list', r => r.writeHead(200, ['Content-Type', 'text/plain']).end('done'), { ...ok, 'content-type': 'text/plain' }],
  ['pairs', r => r.writeHead(200, [['Content-Type', 'text/plain']] as unknown as string[]).end('done'),
    { ...ok, 'content-type': 'text/plain' }],
  ['a reason', r => r.writeHead(202, 'Later', { 'content-type': 'text/plain' }).end('done'),
    { ...ok, status: 202, reason: 'Later', 'content-type': 'text/plain' }],
  ['a reason alone', r => r.writeHead(202, 'Later').end('done'), { ...ok, status: 202, reason: 'Later' }],
  ['nothing', r => r.writeHead(200).end('done'), ok],
  ['a hijacked end', r => r.end('done'), ok],
  ['a hijacked write', r => { r.write('do'); r.end('ne') }, ok],
  ['flushed', r => { r.flushHeaders(); r.end('done') }, ok],
  ['an error', r => r.writeHead(500, {}).end('done'), { ...ok, status: 500, reason: 'Internal Server Error', 'cache-control': 'no-store' }],
  ['its own caching', r => r.writeHead(404, { 'cache-control': 'max-age=1' }).end('done'),
    { ...ok, status: 404, reason: 'Not Found', 'cache-control': 'max-age=1' }],
  ['its own caching in capitals', r => r.writeHead(200, { 'Cache-Control': 'max-age=1' }).end('done'),
    { ...ok, 'cache-control': 'max-age=1' }],
  ['one of ours replaced', r => r.writeHead(200, { 'X-Frame-Options': 'SAMEORIGIN' }).end('done'),
    { ...ok, 'x-frame-options': 'SAMEORIGIN' }],
  ['one of this response replaced', r => r.writeHead(200, { ratelimit: 'none' }).end('done'), { ...ok, ratelimit: 'none' }],
  ['one of ours replaced on the raw response', r => { r.setHeader('X-Frame-Options', 'SAMEORIGIN'); r.end('done') },
    { ...ok, 'x-frame-options': 'SAMEORIGIN' }],
  ['Vary', r => r.writeHead(200, { vary: 'Accept-Encoding' }).end('done'), { ...ok, vary: 'Origin, Accept-Encoding' }],
  ['Vary on the raw response', r => { r.setHeader('Vary', 'Accept'); r.writeHead(200, { vary: 'Accept-Encoding' }).end('done') },
    { ...ok, vary: 'Origin, Accept, Accept-Encoding' }],
  ['telltales', r => { r.setHeader('X-Powered-By', 'me'); r.writeHead(200, { Server: 'mine' }).end('done') }, ok],
  ['telltales in a list', r => r.writeHead(200, ['Server', 'mine', 'X-Powered-By', 'me']).end('done'), ok],
  ['a telltale alone', r => r.writeHead(200, { server: 'mine' }).end('done'), ok],
  ['cookies', r => { r.writeHead(200, { 'set-cookie': ['a=1', 'b=2'] }); r.end('done') }, { ...ok, 'set-cookie': ['a=1', 'b=2'] }],
  ['cookies beside one of ours', r => { r.writeHead(200, { 'set-cookie': ['a=1', 'b=2'], 'x-frame-options': 'DENY' }); r.end('done') },
    { ...ok, 'set-cookie': ['a=1', 'b=2'] }],
  ['cookies on the raw response', r => {
    r.setHeader('set-cookie', ['a=1', 'b=2']); r.writeHead(200,
      { 'content-type': 'text/plain' }).end('done')
  }, { ...ok, 'set-cookie': ['a=1', 'b=2'], 'content-type': 'text/plain' }]
]

for (const [name, answer, expected] of cases) {
  t.test(`the head of an answer with ${name}`, async t => {
    for (const got of await answers(answer)) t.strictSame(got, expected)
  })
}

t.test('a second head is the mistake that it always was', async t => {
  const codes: unknown[] = []
  await answers(response => {
    response.writeHead(200)
    try { response.writeHead(200) } catch (error) { codes.push((error as { code?: unknown }).code) }
    response.end('done')
  })
  t.strictSame(codes, classes.map(() => 'ERR_HTTP_HEADERS_SENT'))
})

t.test('somebody else has taken writeHead before', async t => {
  const server = createServer((_, response) => {
    const writeHead = response.writeHead
    response.writeHead = function (this: ServerResponse, ...parts: unknown[]) {
      this.setHeader('x-before', '1')
      return Reflect.apply(writeHead, this, parts) as ServerResponse
    } as typeof writeHead
    setHead(response, plan)
    response.end('done')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { headers } = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  server.close()
  t.same([headers.get('x-before'), headers.get('x-frame-options')], ['1', 'DENY'])
})

/** What libraries make of the headers when they are written: they replace one, take one away, and look at the rest. */
const meddle = (writeHead: ServerResponse['writeHead'], seen: unknown[]) => function (this: ServerResponse, ...parts: unknown[]) {
  const list = parts.find(part => typeof part === 'object') as unknown[]
  seen.push(list.includes('x-content-type-options'))
  list[list.indexOf('x-frame-options') + 1] = 'SAMEORIGIN'
  list.splice(list.indexOf('ratelimit'), 2)
  return Reflect.apply(writeHead, this, parts) as ServerResponse
} as typeof writeHead

t.test('21: somebody else\'s writeHead sees all headers, and may change them', async t => {
  const { ratelimit, ...rest } = ok
  const expected = { ...rest, 'x-frame-options': 'SAMEORIGIN' }
  const seen: unknown[] = []
  const own = await answers(response => response.writeHead(200).end('done'), response => {
    response.writeHead = meddle(response.writeHead, seen)
  })
  t.strictSame(own, classes.map(() => expected), 'of one response')
  const { writeHead } = ServerResponse.prototype
  t.teardown(() => { ServerResponse.prototype.writeHead = writeHead })
  ServerResponse.prototype.writeHead = meddle(writeHead, seen)
  t.strictSame(await answers(response => response.writeHead(200).end('done')), classes.map(() => expected), 'of all')
  t.strictSame(seen, Array(2 * classes.length).fill(true))
})

t.test('21: a response that gets another prototype keeps our headers, and ends as that says', async t => {
  let ended = 0
  const prototype = Object.create(ServerResponse.prototype, {
    end: { value (this: ServerResponse, ...parts: unknown[]) { ended++; return Reflect.apply(ServerResponse.prototype.end, this, parts) } }
  })
  for (const got of await answers(response => {
    Object.setPrototypeOf(response, prototype)
    response.writeHead(200).end('done')
  }, () => {}, [ServerResponse])) t.strictSame(got, ok)
  t.equal(ended, 1)
})

t.test('no prepared value can end its line', async t => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), value => {
    try {
      return !/[\r\n\0]/.test(headPart([['x-any', value]]).block.slice(0, -2))
    } catch {
      return true
    }
  }))
  for (const bad of ['a\r\nb: c', 'a\nb', 'a\0']) t.throws(() => headPart([['x-any', bad]]), TypeError)
})

t.test('Vary keeps what is there', async t => {
  t.equal(addVary('', 'Origin'), 'Origin')
  t.equal(addVary('Accept-Encoding', 'Origin'), 'Accept-Encoding, Origin')
  t.equal(addVary('origin, Accept', 'Origin'), 'origin, Accept')
  t.equal(addVary('*', 'Origin'), '*')
})

t.test('14 A3: a response whose `headersSent` somebody replaced still gets our headers', async t => {
  for (const answer of await answers(response => {
    Object.defineProperty(response, 'headersSent', { get: () => true, configurable: true })
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
  })) t.match(answer, { ...ours, 'cache-control': 'private', status: 200, body: '{}' })
})

t.test('15 B6: a response that shared caches must not keep, whatever case its Cache-Control is written in', async t => {
  const values = async (write: Answer) => {
    const written = await answers(response => { setHead(response, { ...plan, isPrivate: true }); write(response) })
    return written.map(answer => answer['cache-control'])
  }
  const stated = 'public, max-age=60'
  const table: Record<string, Answer> = {
    'lower case': response => { response.writeHead(200, { 'cache-control': stated }).end() },
    'as it is usually written': response => { response.writeHead(200, { 'Cache-Control': stated }).end() },
    'with a reason': response => { response.writeHead(200, 'OK', { 'CACHE-CONTROL': stated }).end() },
    'in parts': response => { response.writeHead(200, { 'Cache-Control': ['public', 'max-age=60'] }).end() },
    'in a list': response => { response.writeHead(200, ['Cache-Control', stated]).end() },
    'set before': response => { response.setHeader('Cache-Control', stated); response.end() },
    'with a wrong separator': response => { response.setHeader('Cache-Control', 'public; max-age=9, max-age=60'); response.end() }
  }
  for (const [name, write] of Object.entries(table)) t.strictSame(await values(write), classes.map(() => 'private, max-age=60'), name)
})

t.test('15 B2: after a head that could not be written the next one has our headers', async t => {
  const bad = [{ 'x a': '1' }, { 'x-a': 'a\r\nb' }, { 'x a': '1', 'x-frame-options': 'SAMEORIGIN' }] as const
  for (const headers of bad) {
    const found = await answers(response => {
      t.throws(() => response.writeHead(200, headers as Record<string, string>))
      response.writeHead(500, { 'x-a': '1' })
      response.end()
    })
    for (const answer of found) {
      t.match(answer, { ...ours, status: 500, 'x-a': '1', 'cache-control': 'no-store', twice: [] },
        JSON.stringify(headers))
    }
  }
})

/** What is written for these headers, whether or not they are known to be those of a refusal. */
function written (Response: typeof ServerResponse, set: HeadSet, counted: boolean, given: [string, string][], expected: boolean): unknown {
  const raw = new Response(new IncomingMessage(new Socket()))
  setHead(raw, set)
  addToHead(raw, cors)
  if (counted) addPairToHead(raw, 'ratelimit', '"read";r=1;t=2')
  if (expected && limited.lines !== undefined) expectRefusal(raw, limited.lines)
  raw.sendDate = false
  raw.writeHead(429, Object.fromEntries(given))
  return Reflect.get(raw, '_header')
}

const limited = refusal('SECURE_API_RATE_LIMITED', { headers: { 'retry-after': '7', ratelimit: '"read";r=0;t=7' } })
const untouched: [string, string][] = [...Object.entries(limited.headers), ['content-length', '150']]

t.test('21: prepared lines of a refusal change no byte, whatever hooks make of its headers', async t => {
  const other: fc.Arbitrary<[string, string]> = fc.tuple(
    fc.constantFrom('x-own', 'vary', 'Vary', 'retry-after', 'cache-control', 'content-type', 'server', 'x-frame-options', 'content-length'),
    fc.constantFrom('1', 'no-store', 'public, max-age=5', 'Accept', '*'))
  const some = fc.oneof(fc.constant(untouched), fc.shuffledSubarray(untouched, { minLength: 3 }))
  const changed = fc.tuple(some, fc.array(other, { maxLength: 2 }), fc.boolean())
    .map(([kept, added, first]) => first ? [...added, ...kept] : [...kept, ...added])
  const sets = fc.constantFrom<HeadSet>(plan, { ...plan, isPrivate: true }, { ...plan, remove: new Set(['retry-after']) },
    { ...plan, always: headPart([['retry-after', '1'], ['content-length', '2']]) })
  fc.assert(fc.property(fc.oneof(fc.constant(untouched), changed), sets, fc.boolean(), (given, set, counted) => {
    for (const Response of classes) {
      const [plain, prepared] = [false, true].map(expected => written(Response, set, counted, given, expected))
      if (plain !== prepared) return false
    }
    return true
  }), { numRuns: 500 })
  t.match(written(BlockResponse as typeof ServerResponse, plan, false, untouched, true), 'retry-after: 7\r\nratelimit: "read";r=0;t=7\r\n')
})

t.test('21: a refusal with a value that only Node lets through has no prepared lines', async t => {
  t.equal(ownRefusal({ code: 'OWN_CLOSED', status: 503, detail: 'Closed.', headers: { 'x-where': 'K\xf6ln' } }).lines, undefined)
  const plain = ownRefusal({ code: 'OWN_CLOSED', status: 503, detail: 'Closed.', headers: { 'x-where': 'here' } })
  t.match(plain.lines?.block, 'x-where: here\r\n')
})
