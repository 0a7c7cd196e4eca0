import { generateKeyPairSync } from 'node:crypto'
import { createReadStream, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * What a line of the audit file costs, with and without a chain, and what it takes to verify the chain:
 * `node --import ./scripts/test-loader.mjs bench/audit.mjs [events]`. CPU of the whole process, so that writing counts.
 */
const source = new URL(process.env.AUDIT_SOURCE ?? '../lib/audit/index.ts', import.meta.url)
const { chainVerifier, openAuditFile, verifyChain } = await import(source)
const events = Number(process.argv[2] ?? 160_000)
const { privateKey, publicKey } = generateKeyPairSync('ed25519')
const folder = mkdtempSync(join(tmpdir(), 'audit-'))

const event = requestId => ({
  time: '2026-11-23T23:43:16.872Z',
  event: 'authz_fail',
  action: 'orders.create',
  outcome: 'denied',
  status: 403,
  reason: 'SECURE_API_FORBIDDEN',
  method: 'POST',
  route: '/orders',
  requestId: `0d8f9a52-6c3e-4b55-9d5b-${requestId}`,
  address: '192.0.2.7',
  principal: { kind: 'user', subject: 'alice', client: 'web', issuer: 'https://login.example.com', credential: 'jwt' },
  limit: { policy: 'write', remaining: 9 },
  durationMs: 2.144,
  denial: { required: { scope: ['orders.write'] }, present: { scopes: ['orders.read'], roles: [] } }
})

async function cost (work) {
  const [before, started] = [process.cpuUsage(), performance.now()]
  await work()
  const { user, system } = process.cpuUsage(before)
  return { cpu: (user + system) / 1000, ms: performance.now() - started }
}

async function fill (path, options) {
  const file = await openAuditFile(path, options)
  for (let sent = 0; sent < events;) {
    let last
    for (let one = 0; one < 1000 && sent < events; one++) last = file.write(event(sent++))
    await last
  }
  await file.close()
}

try {
  const [plain, chained] = [join(folder, 'plain.log'), join(folder, 'chained.log')]
  for (const [name, path, options] of [['plain', plain, {}], ['chain', chained, { chain: { key: privateKey } }]]) {
    await fill(join(folder, 'warm'), {})
    const { cpu } = await cost(() => fill(path, options))
    console.log(`${name}: ${(cpu * 1000 / events).toFixed(2)} µs of CPU an event of ${Math.round(statSync(path).size / events)} bytes`)
  }
  let found
  const { cpu, ms } = await cost(async () => {
    const chunks = createReadStream(chained, { highWaterMark: 1024 * 1024 })
    found = await verifyChain([{ name: chained, chunks }], { keys: [chainVerifier(publicKey)] })
  })
  const size = (found.bytes / 1e6).toFixed(0)
  console.log(`verify: ${size} MB, ${found.lines} lines, ${found.findings.length} findings, ${(cpu / 1000).toFixed(2)} s of CPU, ` +
    `${(ms / 1000).toFixed(2)} s, ${(process.memoryUsage.rss() / 1e6).toFixed(0)} MB of memory`)
} finally {
  rmSync(folder, { recursive: true })
}
