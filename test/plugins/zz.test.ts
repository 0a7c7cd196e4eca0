import t from 'tap'
import { randomUUID } from 'node:crypto'
import { bearer, secured, startIssuer } from '../helpers/server.ts'
const issuer = await startIssuer(t)
const { app } = await secured(t, issuer, { routes: app => { app.get('/orders', { config: { authenticated: true } }, async () => '') } })
const forged = (n: number) => Array.from({ length: n }, () => { const [h, p] = issuer.sign({ jti: randomUUID() }).split('.'); return { authorization: `Bearer ${h}.${p}.${Buffer.alloc(256, 7).toString('base64url')}` } })
const statuses = (await Promise.all(forged(200).map(headers => app.inject({ url: '/orders', headers })))).map(r => r.statusCode)
t.comment('parallel forged: 401', statuses.filter(s => s === 401).length, '429', statuses.filter(s => s === 429).length)
t.pass('x'); void bearer
