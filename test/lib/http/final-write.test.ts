import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer, IncomingMessage, ServerResponse, type RequestListener } from 'node:http'
import { connect, Socket, type AddressInfo } from 'node:net'
import { execPath } from 'node:process'
import t from 'tap'
import { headPart, setHead, writeOnce, type HeadSet } from '../../../lib/http/index.ts'
import { hasten } from '../../../lib/http/plain-response.ts'
import { loader } from '../../helpers/loader.ts'

class Once extends ServerResponse<IncomingMessage> {}
const active = writeOnce(Once)
const none = headPart([])
const plan: HeadSet = { always: none, success: none, error: none, remove: new Set() }

t.test('Node 20 and 22 write twice, later ones once by themselves', async t => {
  t.equal(active, Number(process.versions.node.split('.')[0]) < 24)
})

t.test('a class whose answers would differ stays as it is', async t => {
  class Other extends ServerResponse<IncomingMessage> {
    override writeHead (): this { throw new Error('another runtime') }
  }
  t.equal(writeOnce(Other), false)
  t.notOk(Object.hasOwn(Other.prototype, 'end'))
})

t.test('21: a response of Node\'s own class writes once as well, unless somebody has replaced what it needs', async t => {
  const fresh = (Response: typeof ServerResponse = ServerResponse) => new Response(new IncomingMessage(new Socket()))
  const own = (response: ServerResponse) => ['end', '_storeHeader'].filter(name => Object.hasOwn(response, name)).sort()
  const plain = fresh()
  setHead(plain, plan)
  t.strictSame(own(plain), active ? ['_storeHeader', 'end'] : ['_storeHeader'])
  class Other extends ServerResponse<IncomingMessage> {}
  const other = fresh(Other as typeof ServerResponse)
  setHead(other, plan)
  t.strictSame(own(other), [], 'somebody\'s own class')
  const watched = fresh()
  const end = () => watched
  watched.end = end
  setHead(watched, plan)
  t.equal(watched.end, end)
  const { end: everybody } = ServerResponse.prototype
  t.teardown(() => { ServerResponse.prototype.end = everybody })
  ServerResponse.prototype.end = end
  const late = fresh()
  setHead(late, plan)
  t.equal(late.end, end, 'a tool that watches all responses')
  t.equal(new Once(new IncomingMessage(new Socket())).end('x'), watched, 'also those whose class was made before')
  class Later extends ServerResponse<IncomingMessage> {}
  t.equal(writeOnce(Later), false)
})

t.test('21: nothing is hastened where a tool has wrapped the methods of all answers before', async t => {
  const at = (path: string) => JSON.stringify(new URL(`../../../lib/http/${path}`, import.meta.url).href)
  const program = (wrap: string) => `
    const { IncomingMessage, OutgoingMessage, ServerResponse } = await import('node:http')
    const { Socket } = await import('node:net')
    const wrap = (target, name) => { const method = target[name]; target[name] = function (...parts) { return method.apply(this, parts) } }
    ${wrap}
    const { headPart, setHead, writeOnce } = await import(${at('index.ts')})
    const raw = new ServerResponse(new IncomingMessage(new Socket()))
    const none = headPart([])
    setHead(raw, { always: headPart([['x-ours', '1']]), success: none, error: none, remove: new Set() })
    const given = []
    const store = raw._storeHeader
    raw._storeHeader = function (line, headers) { given.push(headers); return store.call(this, line, headers) }
    raw.writeHead(200)
    console.log(JSON.stringify([writeOnce(class extends ServerResponse {}), raw.end === ServerResponse.prototype.end, given[0] ?? 'text']))`
  const said = (wrap: string) => {
    const { stdout, stderr } = spawnSync(execPath, [...loader, '--input-type=module', '--eval', program(wrap)], { encoding: 'utf8' })
    return stdout.trim() || stderr
  }
  t.equal(said(''), JSON.stringify([active, !active, 'text']), 'the control')
  for (const name of ['end', '_send']) {
    t.equal(said(`wrap(OutgoingMessage.prototype, '${name}')`), JSON.stringify([false, true, 'text']), name)
  }
  t.equal(said('wrap(ServerResponse.prototype, "writeHead")'), JSON.stringify([active, !active, ['x-ours', '1']]), 'writeHead gets a list')
})

interface Outcome {
  readonly received: string
  readonly events: readonly string[]
  readonly chunks: number
}

/** What a server with this class of responses sends for the bytes, until the connection ends, and which events its responses have. */
async function outcome (Response: typeof ServerResponse, listener: RequestListener, sent: string): Promise<Outcome> {
  const events: string[] = []
  let count = 0
  const server = createServer({ ServerResponse: Response as typeof ServerResponse<IncomingMessage>, keepAliveTimeout: 50 }, (req, res) => {
    const name = `${count++}`
    for (const event of ['prefinish', 'finish', 'close', 'error', 'drain'] as const) {
      res.on(event, () => { events.push(`${name} ${event} ${res.writableEnded} ${res.writableFinished} ${res.headersSent}`) })
    }
    listener(req, res)
  })
  const closed = new Promise(resolve => { server.on('connection', socket => socket.on('close', resolve)) })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1', () => { socket.write(sent) })
  let received = ''
  let chunks = 0
  socket.on('data', chunk => { received += chunk.toString('latin1'); chunks++ }).on('error', () => {})
  await once(socket, 'close')
  // The server learns of it later, and its responses in the turn after that.
  await closed
  await new Promise(resolve => { setImmediate(resolve) })
  server.close()
  return { received: received.replace(/Date: .*\r\n/g, 'Date: now\r\n'), events, chunks }
}

const long = 'ü'.repeat(400_000)
const closing = (method = 'GET', path = '/') => `${method} ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`
const open = (method = 'GET', path = '/') => `${method} ${path} HTTP/1.1\r\nHost: a\r\n\r\n`
const head = (res: ServerResponse, status = 200, body = 'hello') => res.writeHead(status, { 'content-length': Buffer.byteLength(body) })

/** Named after the files of Node's own tests whose subject they are. */
const cases: Readonly<Record<string, { readonly listener: RequestListener, readonly sent: string }>> = {
  'a body of known length': { sent: closing(), listener: (_, res) => { head(res).end('hello') } },
  'keep-alive: one after the other': { sent: open() + open() + closing(), listener: (_, res) => { head(res).end('hello') } },
  'pipelining: the second answer is ready first': {
    sent: open('GET', '/slow') + open() + closing(),
    listener: (req, res) => {
      if (req.url === '/slow') setTimeout(() => { head(res).end('later') }, 20)
      else head(res).end('hello')
    }
  },
  'pipelining: three at once, the last closes': {
    sent: open() + open() + closing(),
    listener: (_, res) => { setImmediate(() => { head(res).end('hello') }) }
  },
  'HEAD has no body': { sent: closing('HEAD'), listener: (_, res) => { head(res).end('hello') } },
  '204 has no body': { sent: closing(), listener: (_, res) => { res.writeHead(204).end('hello') } },
  '304 has no body': { sent: closing(), listener: (_, res) => { res.writeHead(304).end('hello') } },
  'an empty body': { sent: closing(), listener: (_, res) => { head(res, 200, '').end('') } },
  'no head was written': { sent: closing(), listener: (_, res) => { res.end('hello') } },
  'a head without length is chunked': { sent: closing(), listener: (_, res) => { res.writeHead(200).end('hello') } },
  'HTTP/1.0 ends by closing': { sent: 'GET / HTTP/1.0\r\n\r\n', listener: (_, res) => { res.writeHead(200).end('hello') } },
  trailers: {
    sent: closing(),
    listener: (_, res) => {
      res.writeHead(200, { trailer: 'x-sum', 'transfer-encoding': 'chunked' })
      res.addTrailers({ 'x-sum': '1' })
      res.end('hello')
    }
  },
  'a write before the end': { sent: closing(), listener: (_, res) => { head(res); res.write('hel'); res.end('lo') } },
  'a flushed head': { sent: closing(), listener: (_, res) => { head(res); res.flushHeaders(); res.end('hello') } },
  'corked by the application': { sent: closing(), listener: (_, res) => { res.cork(); head(res).end('hello') } },
  'a callback': {
    sent: closing(),
    listener: (_, res) => { head(res).end('hello', () => res.emit('error', new Error('called'))) }
  },
  'another encoding': { sent: closing(), listener: (_, res) => { head(res).end('aGVsbG8=', 'base64') } },
  latin1: { sent: closing(), listener: (_, res) => { head(res, 200, 'h').end('\u00e9', 'latin1') } },
  'UTF-8 in the body': { sent: closing(), listener: (_, res) => { head(res, 200, 'grüße €').end('grüße €') } },
  'a buffer': { sent: closing(), listener: (_, res) => { head(res).end(Buffer.from('hello')) } },
  'an early hint before it': {
    sent: closing(),
    listener: (_, res) => { res.writeEarlyHints({ link: '</a>; rel=preload' }); head(res).end('hello') }
  },
  '100-continue': {
    sent: `${closing('POST').slice(0, -2)}Expect: 100-continue\r\nContent-Length: 0\r\n\r\n`,
    listener: (_, res) => { head(res).end('hello') }
  },
  'a body that nobody read': {
    sent: `${open('POST').slice(0, -2)}Content-Length: 5\r\n\r\nabcde${closing()}`,
    listener: (_, res) => { head(res).end('hello') }
  },
  'ended twice': { sent: closing(), listener: (_, res) => { head(res).end('hello'); res.end('again'); res.end() } },
  'a write after the end': { sent: closing(), listener: (_, res) => { head(res).end('hello'); res.write('again') } },
  'a long body and a slow reader': { sent: closing(), listener: (_, res) => { head(res, 200, long).end(long) } },
  'destroyed before the end': { sent: closing(), listener: (_, res) => { head(res); res.destroy(); res.end('hello') } },
  'the connection is destroyed before the end': {
    sent: closing(),
    listener: (req, res) => { head(res); req.socket.destroy(); res.end('hello') }
  },
  'the connection is destroyed behind it': {
    sent: closing(),
    listener: (req, res) => { head(res, 200, long).end(long); req.socket.destroy() }
  },
  'a write that fails': {
    sent: closing(),
    listener: (req, res) => {
      const fail = (...parts: readonly unknown[]) => { (parts.at(-1) as (error: Error) => void)(new Error('reset')) }
      req.socket._write = req.socket._writev = fail
      head(res).end('hello')
    }
  },
  'a length that is not that of the body': {
    sent: closing(),
    listener: (_, res) => { res.writeHead(200, { 'content-length': 3 }).end('hello') }
  },
  'strict length': {
    sent: closing(),
    listener: (req, res) => {
      res.strictContentLength = true
      res.writeHead(200, { 'content-length': 3 })
      try { res.end('hello') } catch (error) { req.socket.end(`\n${(error as { code: string }).code}`) }
    }
  },
  'a detached response': {
    sent: closing(),
    listener: (_, res) => {
      const { socket } = res
      if (socket === null) return
      res.detachSocket(socket)
      head(res).end('hello')
      res.assignSocket(socket)
    }
  }
}

for (const [name, { listener, sent }] of Object.entries(cases)) {
  t.test(`as Node itself: ${name}`, async t => {
    const node = await outcome(ServerResponse, listener, sent)
    const hastened: RequestListener = (req, res) => {
      hasten(res)
      listener(req, res)
    }
    for (const ours of [await outcome(Once as typeof ServerResponse, listener, sent), await outcome(ServerResponse, hastened, sent)]) {
      t.equal(ours.received, node.received)
      t.strictSame(ours.events, node.events)
    }
    t.ok(node.received.length + node.events.length > 0, 'something was compared')
  })
}
