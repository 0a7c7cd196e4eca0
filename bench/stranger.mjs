import { fork } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import Fastify from 'fastify'
import { loadSuite } from './lib/dist.mjs'
import { audience, forged, issuer, keySet } from './lib/material.mjs'

/**
 * What a stranger can make the server work: `node bench/stranger.mjs` after `npm run build`. Each request is sent to the suite, in
 * `secureServer()`, and to a bare Fastify, at the limits of Node and Fastify (a head of 16 KB); the processor's time of the bare one is
 * the part of Node and Fastify. The third server has the default budgets of an address for failed credentials and for reports, which are
 * used up after a moment: what a stranger costs who goes on.
 */
const rounds = 8
if (process.argv[2] === 'server') await serve(process.argv[3])
else await measure()

/** @param {'bare' | 'unlimited' | 'limited'} kind */
async function serve (kind) {
  const { default: secureApi, secureServer } = await loadSuite()
  const app = Fastify(kind === 'bare' ? {} : secureServer({ dangerouslyAllowPlaintext: true }))
  if (kind !== 'bare') {
    const isLimited = kind === 'limited'
    const limit = { limit: 1_000_000_000, window: '1 minute' }
    await app.register(secureApi, {
      environment: 'development',
      auth: { issuers: [{ issuer, audience, jwks: keySet() }] },
      cors: { origins: ['https://app.bench.example', 'https://*.bench.example'] },
      headers: { reports: { path: '/reports', ...(isLimited ? undefined : { perMinute: 100_000 }) } },
      rateLimit: {
        perAddress: { ...limit, algorithm: 'token-bucket' },
        ...(isLimited ? undefined : { failures: limit }),
        policies: { read: limit, write: limit }
      },
      audit: { sink: () => {} }
    })
  }
  app.get('/orders', async () => '')
  app.post('/orders', async () => '')
  await app.listen({ port: 0, host: '127.0.0.1' })
  process.on('message', () => process.send({ cpu: process.cpuUsage() }))
  process.send({ port: app.server.address().port })
}

async function measure () {
  const cases = await requests()
  const servers = [await start('unlimited'), await start('limited'), await start('bare')]
  // In turn, over and over: what is measured first would be measured before everything is compiled.
  const least = cases.map(() => servers.map(() => Infinity))
  for (let round = 0; round <= rounds; round++) {
    for (const [index, [, bytes]] of cases.entries()) {
      for (const [which, server] of servers.entries()) {
        const found = await cost(server, bytes)
        if (round > 0) least[index][which] = Math.min(least[index][which], found)
      }
    }
  }
  const rows = cases.map(([name], index) => ({ name, costs: least[index] }))
  const [cheapest, , floor] = rows.map(({ costs }) => costs).reduce((best, costs) => costs[0] < best[0] ? costs : best)
  console.log('| request | suite, CPU µs | bare Fastify | what the suite adds, ÷ cheapest refusal | the same, beyond its budget |')
  console.log('| --- | --- | --- | --- | --- |')
  for (const { name, costs: [suite, limited, bare] } of rows) {
    const [first, later] = [suite, limited].map(cost => ((cost - bare + floor) / cheapest).toFixed(2))
    console.log(`| ${name} | ${suite.toFixed(1)} | ${bare.toFixed(1)} | ${first} | ${later} |`)
  }
  for (const { child } of servers) child.kill()
}

async function start (kind) {
  const child = fork(new URL(import.meta.url), ['server', kind])
  const [{ port }] = await once(child, 'message')
  return { child, port }
}

/** Of which the least counts: whatever else the machine does only adds. */
async function cost (server, bytes, count = 200) {
  const before = await usage(server)
  await send(server.port, bytes, count)
  return (await usage(server) - before) / count
}

async function usage ({ child }) {
  child.send('usage')
  const [{ cpu }] = await once(child, 'message')
  return cpu.user + cpu.system
}

/** One after the other on one connection; each answer says how long it is. */
function send (port, bytes, count) {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    let [seen, text] = [0, '']
    socket.on('error', reject).on('data', chunk => {
      text += chunk.toString('latin1')
      const end = text.indexOf('\r\n\r\n')
      const length = Number(/content-length: (\d+)/i.exec(text.slice(0, end))?.[1] ?? 0)
      if (end === -1 || text.length < end + 4 + length) return
      text = ''
      if (++seen < count) return socket.write(bytes)
      socket.end()
      resolve()
    })
  })
}

async function requests () {
  const room = 15_000
  const head = (line, headers = {}) =>
    `${line} HTTP/1.1\r\nHost: localhost\r\n${Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`
  const post = (path, type, body) => `${head(`POST ${path}`, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) })}${body}`
  const fill = (text, length = room) => text.repeat(length / text.length)
  const list = (length, text) => Array.from({ length }, (_, index) => text(index)).join()
  const part = text => Buffer.from(text).toString('base64url')
  const [bad] = await forged('RS256', 1)
  const many = Object.fromEntries(Array.from({ length: 900 },
    (_, index) => [`Authorization${String(index).padStart(3, '0')}`.slice(3), '']))
  const token = (header, payload) => ({ Authorization: `Bearer ${part(header)}.${part(payload)}.AAAA` })
  return [
    ['401, no credential', head('GET /orders')],
    ['a query of pairs `%&`', head(`GET /orders?${fill('%&')}`, { Authorization: 'Bearer a.b.c' })],
    ['a query of pairs `%61ccess_toke&`', head(`GET /orders?${fill('%61ccess_toke&')}`, { Authorization: 'Bearer a.b.c' })],
    ['404, an escaped path', head(`GET /${fill('%41')}`)],
    ['405, an escaped path', head(`DELETE /${fill('%41', 480)}`)],
    ['a token of 15 KB', head('GET /orders', { Authorization: `Bearer ${fill('a')}` })],
    ['spaces behind `Bearer`', head('GET /orders', { Authorization: `Bearer${fill(' ')}a` })],
    ['a token of 8 KB: header of many members', head('GET /orders',
      token(`{"alg":"RS256",${list(500, index => `"m${index}":0`)}}`, '{}'))],
    ['a token of 8 KB: many audiences', head('GET /orders',
      token('{"alg":"RS256"}', `{"iss":"${issuer}","exp":9999999999,"aud":[${fill('"a",', 5000)}"a"]}`))],
    ['a token of 8 KB: a thousand groups', head('GET /orders',
      token('{"alg":"RS256"}', `{"iss":"${issuer}","exp":9999999999,"groups":[${list(1000, index => `"${index}"`)}]}`))],
    ['a token of 8 KB: many claims', head('GET /orders',
      token('{"alg":"RS256"}', `{"iss":"${issuer}","exp":9999999999,${list(330, index => `"claim${index}":"a"`)}}`))],
    ['a token of 8 KB: deep claims', head('GET /orders', token('{"alg":"RS256"}', `{"a":${fill('[', 2500)}${fill(']', 2500)}}`))],
    ['a forged signature (RS256)', head('GET /orders', { Authorization: `Bearer ${bad}` })],
    ['900 header fields', head('GET /orders', { Authorization: 'Bearer a.b.c', ...many })],
    ['a foreign Origin of 15 KB', head('GET /orders', { Origin: `https://${fill('a')}.bench.example` })],
    ['a preflight with 4 KB of names', head('OPTIONS /orders',
      {
        Origin: 'https://app.bench.example',
        'Access-Control-Request-Method': 'GET',
        'Access-Control-Request-Headers': fill('authorization,', 4000)
      })],
    ['X-Forwarded-For of 15 KB', head('GET /orders', { 'X-Forwarded-For': fill('10.0.0.1,') })],
    ['a report of 16 KB, 20 violations', post('/reports', 'application/reports+json',
      // Each of another place: an attacker has no reason to repeat one.
      JSON.stringify(Array.from({ length: 20 }, (_, index) =>
        ({
          type: 'csp-violation',
          body: {
            blockedURL: `https://user:a@a${index}.example/${fill('x', 300)}`,
            documentURL: `https://b${index}.example/../${index}/${fill('%2e', 300)}`
          }
        }))))],
    ['a report of 16 KB, empty members', post('/reports', 'application/reports+json', `[${fill('{},', 16_000)}{}]`)]
  ]
}
