import { request } from 'node:http'
import { calm } from './groups.mjs'
import { origin, tokens } from './material.mjs'
import { launch } from './measure.mjs'

const compared = ['bare', 'suite', 'suite+server', 'official', 'fastify-jwt-jwks', 'express', 'hono', 'nest', 'koa']

/** What it costs to be there: time until ready, memory then, and the first requests after. */
export async function measureStart (around, { launches }) {
  const [token] = await tokens('RS256', 1)
  const rows = []
  for (let count = 0; count < launches + 4; count++) {
    for (const variant of compared) rows.push(await once(variant, token, around))
  }
  return rows
}

async function once (variant, token, around) {
  const server = await launch(variant, { ...calm, algorithm: 'RS256' }, around)
  try {
    const headers = variant === 'bare' ? { origin } : { origin, authorization: `Bearer ${token}` }
    const firstMs = await timed(server.port, headers)
    const { readyMs, cpuUs, rss } = server.started
    return { variant, readyMs, cpuMs: cpuUs / 1000, rss, firstMs, secondMs: await timed(server.port, headers) }
  } finally {
    await server.stop()
  }
}

async function timed (port, headers) {
  const begun = performance.now()
  const status = await new Promise((resolve, reject) => {
    request({ port, host: '127.0.0.1', path: '/orders', headers, agent: false }, response => {
      response.resume().on('end', () => resolve(response.statusCode))
    }).on('error', reject).end()
  })
  if (status !== 200) throw new Error(`the first request was answered ${status}`)
  return performance.now() - begun
}
