import { EventEmitter } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { scheduleTimer } from '../../../lib/async/index.ts'
import { Connections, type Connection } from '../../../lib/edge/connections.ts'

/** As much of a socket as is looked at. */
class FakeSocket extends EventEmitter {
  _handle: object | null = {}
  parser: object | null = {}
  _httpMessage: object | null = null
  destroyed = false
  closed = false
  destroy (): void {
    this.destroyed = this.closed = true
    this.emit('close')
  }
}

function closing (onLate?: () => void) {
  const server = new EventEmitter()
  const plans: Array<readonly [run: () => unknown, ms: number]> = []
  const late: number[] = []
  const connections = new Connections(server, {
    within: () => 30_000,
    schedule: (run, ms) => {
      plans.push([run, ms])
      return () => {}
    },
    onLate: count => {
      late.push(count)
      onLate?.()
    }
  })
  const connect = () => {
    const socket = new FakeSocket()
    server.emit('connection', socket)
    return socket
  }
  /** The time for what was planned for `ms` has come; its work waits for the sockets to be read. */
  const due = (ms: number) => { for (const plan of plans.filter(plan => plan[1] === ms)) plans.splice(plans.indexOf(plan), 1)[0]?.[0]() }
  return { server, plans, connections, late, connect, due }
}

t.test('what arrived while the process was busy is seen before its connection is called idle', async t => {
  const { connections, connect, due } = closing()
  const [busy, idle] = [connect(), connect()]
  connections.end()
  due(500)
  await setImmediate()
  due(500)
  busy._httpMessage = {} // Timers run first, then the sockets are read, then it is looked at them.
  await setImmediate()
  t.strictSame([busy.destroyed, idle.destroyed], [false, true])
})

t.test('a socket that was sent to another process, and never closes here, holds nothing', async t => {
  const { connections, late, connect, due } = closing()
  const [sent, open] = [connect(), connect()]
  sent._handle = null
  connections.end()
  let isEmpty = false
  connections.whenEmpty(() => { isEmpty = true })
  due(30_000)
  await setImmediate()
  t.strictSame([open.destroyed, sent.destroyed, isEmpty, late], [true, false, true, [1]])
})

t.test('sockets that were sent to other processes are forgotten while the server lives', async t => {
  const { connections, late, connect, due } = closing()
  for (let count = 0; count < 5000; count++) connect()._handle = null
  const kept = Array.from({ length: 10 }, connect)
  connections.end()
  due(30_000)
  await setImmediate()
  t.ok(kept.every(({ destroyed }) => destroyed))
  t.strictSame(late, [10])
})

t.test('after the time-out each later look cuts what is there, until the server listens again or is left', async t => {
  const { server, connections, connect, due } = closing()
  connections.end()
  due(30_000)
  await setImmediate()
  const after = connect()
  due(500)
  await setImmediate()
  t.equal(after.destroyed, true)
  server.emit('listening')
  const again = connect()
  due(500)
  await setImmediate()
  due(500)
  await setImmediate()
  t.equal(again.destroyed, false)
  connections.dispose()
  t.strictSame(['connection', 'secureConnection', 'session', 'listening'].map(event => server.listenerCount(event)), [0, 0, 0, 0])
})

t.test('sockets whose listeners are removed by whoever took them over are forgotten once they are closed', async t => {
  const { plans, connections, late, connect, due } = closing()
  const given = () => {
    const socket = connect()
    socket.removeAllListeners()
    return socket
  }
  for (let count = 0; count < 5000; count++) given().destroy()
  const [open, stuck] = [given(), given()]
  stuck.destroy = () => { stuck.destroyed = true }
  connections.end()
  let isEmpty = false
  connections.whenEmpty(() => { isEmpty = true })
  due(30_000)
  await setImmediate()
  t.strictSame([open.destroyed, stuck.destroyed, late], [true, true, [2]])
  due(500)
  await setImmediate()
  t.equal(isEmpty, true, 'and nobody waits for one that never says that it is closed')
  stuck.closed = true
  due(500)
  await setImmediate()
  t.strictSame(plans, [], 'without connections it is not looked again')
})

const response = (complete = true, headers: object = { 'content-length': '3' }) =>
  Object.assign(new EventEmitter(), { shouldKeepAlive: true, headersSent: false, req: { complete, headers } })

t.test('an answer before the end of its request keeps the connection; one that the application ends is ended', async t => {
  const { connections, connect } = closing()
  const [early, late, own, asked] = [response(false), response(false), response(), response()]
  asked.shouldKeepAlive = false
  connect()._httpMessage = early
  connections.drain()
  for (const one of [late, own, asked]) connections.begin(connect() as unknown as Connection, one as never)
  late.req.complete = true
  own.shouldKeepAlive = true
  t.strictSame([early, late, own, asked].map(one => one.shouldKeepAlive), [true, false, true, false])
  const headers: object[] = [{ 'transfer-encoding': 'chunked' }, {}, { 'content-length': '0' }]
  const [chunked, none, empty] = headers.map(one => response(false, one))
  for (const one of [chunked, none, empty]) connections.begin(connect() as unknown as Connection, one as never)
  t.strictSame([chunked, none, empty].map(one => one?.shouldKeepAlive), [true, false, false], 'the parser may not be at its end yet')
  early.shouldKeepAlive = false
  t.equal(early.shouldKeepAlive, false)
})

t.test('a logger that throws when connections were cut does not end the process', async t => {
  const { connections, late, connect, due } = closing(() => { throw new Error('full disk') })
  const socket = connect()
  connections.end()
  let isEmpty = false
  connections.whenEmpty(() => { isEmpty = true })
  due(30_000)
  await setImmediate()
  t.strictSame([socket.destroyed, isEmpty, late], [true, true, [1]])
})

t.test('an answer that ends its connection does not say that it keeps it, in whatever form the application says so', async t => {
  const heads: unknown[] = []
  const answer = (own?: string) => {
    const set: string[] = []
    return Object.assign(response(), {
      set,
      getHeader: () => own,
      setHeader: (name: string, value: string) => { set.push(`${name}: ${value}`) },
      writeHead: (...parts: unknown[]) => { heads.push(parts) }
    })
  }
  const { connections, connect } = closing()
  connections.drain()
  const begin = (one: ReturnType<typeof answer>) => {
    connections.begin(connect() as unknown as Connection, one as never)
    return one
  }
  const own = begin(answer('Keep-Alive'))
  own.writeHead(200)
  begin(answer()).writeHead(200, 'OK', { Connection: 'keep-alive', 'X-A': 'keep-alive' })
  begin(answer()).writeHead(200, ['connection', ' keep-alive', 'x-a', '1'])
  begin(answer()).writeHead(200, [['Connection', 'keep-alive'], ['x-a', '1']])
  begin(answer()).writeHead(200, ['set-cookie', ['a=1', 'b=2', 'c=3'], 'x-a', ['1'], 'Connection', 'keep-alive'])
  const others = { connection: 'Upgrade' }
  begin(answer()).writeHead(426, others)
  t.strictSame(own.set, ['connection: close'])
  t.strictSame(heads.splice(0), [
    [200],
    [200, 'OK', { Connection: 'close', 'X-A': 'keep-alive' }],
    [200, ['connection', 'close', 'x-a', '1']],
    [200, [['Connection', 'close'], ['x-a', '1']]],
    [200, ['set-cookie', ['a=1', 'b=2', 'c=3'], 'x-a', ['1'], 'Connection', 'close']],
    [426, others]
  ])
  const early = begin(answer('keep-alive'))
  early.req.complete = false
  early.writeHead(401, { connection: 'keep-alive' })
  t.strictSame([early.set, heads], [[], [[401, { connection: 'keep-alive' }]]], 'one before the end of its upload keeps it')
})

t.test('of pipelined responses the last one ends the connection, and none of them is kept', async t => {
  const { connections, connect } = closing()
  const socket = connect()
  const [first, second, third] = [response(), response(), response()]
  socket._httpMessage = first
  connections.begin(socket as unknown as Connection, second as never)
  connections.end()
  t.strictSame([first, second].map(one => one.shouldKeepAlive), [true, false])
  connections.begin(socket as unknown as Connection, third as never)
  t.strictSame([first, second, third].map(one => one.shouldKeepAlive), [true, true, false])
  for (const one of [first, second, third]) one.emit('close')
  t.notOk(Object.getOwnPropertySymbols(socket).some(symbol => Reflect.get(socket, symbol) === third))
})

t.test('a time that Node would take for a millisecond is the longest that it can take', async t => {
  const warnings: Error[] = []
  const keep = (warning: Error) => { warnings.push(warning) }
  process.on('warning', keep)
  t.teardown(() => process.off('warning', keep))
  const cancel = scheduleTimer(() => t.fail('at once'), 2 ** 40)
  await setImmediate()
  cancel()
  t.notOk(warnings.some(({ name }) => name === 'TimeoutOverflowWarning'))
})
