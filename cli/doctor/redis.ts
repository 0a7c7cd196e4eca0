import { randomUUID } from 'node:crypto'
import type { Redis } from 'ioredis'
import { defaultKeyPrefix, limitScript } from '../../lib/limits/index.ts'
import { scriptRunner } from '../../lib/redis/index.ts'
import { redisCredentialFault } from './address.ts'
import { Findings, type Examination } from './finding.ts'
import { examineTls, tlsTarget } from './tls.ts'

const CONNECT_TIMEOUT = 5000
/** How often a PING is timed. */
const PINGS = 20
/** So many milliseconds a request waits for the limiter at most. */
const BUDGET = 50
const TOLERANCE = 5000

type Check = (client: Redis, findings: Findings, facts: ServerFacts, keyPrefix: string) => Promise<void> | void
type ServerFacts = Readonly<Record<string, string>>

/** Looks at a Redis or Valkey as the limiter will use it. Neither password nor user name appear anywhere. */
export async function examineRedis (text: string, keyPrefix: string = defaultKeyPrefix): Promise<Examination> {
  const findings = new Findings()
  const url = readUrl(text, findings)
  if (url === undefined) return { title: 'redis', findings: findings.list }
  const title = `redis ${url.hostname}:${url.port || 6379}`
  checkTransport(url, findings)
  const target = tlsTarget(url)
  if (target !== undefined) await examineTls(target, findings, Date.now())
  const client = await connect(url, findings)
  if (client === undefined) return { title, findings: findings.list }
  try {
    const facts = await factsOf(client)
    for (const check of checks) await check(client, findings, facts, keyPrefix)
  } finally {
    client.disconnect()
  }
  return { title, findings: findings.list }
}

function readUrl (text: string, findings: Findings): URL | undefined {
  const fault = redisCredentialFault(text)
  if (fault !== undefined) {
    findings.error('REDIS_URL', 'this address cannot be read as it was meant: something stands behind the host', fault)
    return undefined
  }
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url !== undefined && ['redis:', 'rediss:'].includes(url.protocol) && url.hostname !== '') return url
  findings.error('REDIS_URL', 'this is not a Redis URL', 'Write redis://host:6379 or rediss://user:password@host:6380/0.')
  return undefined
}

function checkTransport ({ protocol, hostname, password }: URL, findings: Findings): void {
  const local = isLoopback(hostname)
  if (password !== '' || local) findings.ok('REDIS_URL', password === '' ? 'on this machine, without a password' : 'with a password')
  else {
    findings.warning('REDIS_URL', 'there is no password, so anyone who reaches the server can change every limit',
      'Set a user with ACL, or `requirepass`.')
  }
  if (protocol === 'rediss:') findings.ok('REDIS_TLS', 'encrypted')
  else if (local) findings.ok('REDIS_TLS', 'the connection stays on this machine')
  else findings.warning('REDIS_TLS', 'password and keys travel unencrypted', 'Use rediss:// unless the network is yours alone.')
}

function isLoopback (hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\./.test(hostname)
}

async function connect (url: URL, findings: Findings): Promise<Redis | undefined> {
  const ioredis = await import('ioredis').catch(() => undefined)
  if (ioredis === undefined) {
    findings.error('REDIS_CLIENT', 'the package ioredis is not installed', 'Run `npm install ioredis`.')
    return undefined
  }
  const client = new ioredis.Redis(url.href, {
    lazyConnect: true,
    connectTimeout: CONNECT_TIMEOUT,
    commandTimeout: CONNECT_TIMEOUT,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null
  })
  let cause: unknown
  client.on('error', error => { cause = error })
  try {
    await client.connect()
    // A server that wants a password lets the connection come about and refuses the first command.
    await client.ping()
    findings.ok('REDIS_CONNECT', 'connected')
    return client
  } catch (error) {
    client.disconnect()
    findings.error('REDIS_CONNECT', connectFailure(cause ?? error), 'Check address, user and password, and that this machine may connect.')
    return undefined
  }
}

/** The kind of failure: a driver's own words may hold what was sent. */
function connectFailure (error: unknown): string {
  const { message = '', code } = error instanceof Error ? error as NodeJS.ErrnoException : new Error('unknown') as NodeJS.ErrnoException
  if (code !== undefined) return `no connection (${code})`
  const [, kind] = /^(NOAUTH|WRONGPASS|NOPERM|ERR AUTH|LOADING|DENIED)\b/.exec(message) ?? []
  if (kind !== undefined) return `refused (${kind})`
  return message.includes('imed out') || message.includes('ETIMEDOUT') ? 'no answer in 5 seconds' : 'the connection was closed'
}

async function factsOf (client: Redis): Promise<ServerFacts> {
  const text = await client.info().catch(() => '')
  return Object.fromEntries(text.split('\r\n').flatMap(line => {
    const at = line.indexOf(':')
    return at > 0 ? [[line.slice(0, at), line.slice(at + 1)]] : []
  }))
}

const latency: Check = async (client, findings) => {
  const times: number[] = []
  for (let count = 0; count < PINGS; count++) {
    const started = performance.now()
    await client.ping()
    times.push(performance.now() - started)
  }
  times.sort((a, b) => a - b)
  const [median = 0, worst = 0] = [times[PINGS / 2], times.at(-1)]
  const what = `PING takes ${median.toFixed(1)} ms, ${worst.toFixed(1)} ms at worst`
  if (median >= BUDGET) {
    findings.error('REDIS_LATENCY', what,
    `A request waits ${BUDGET} ms for the limiter; then each process counts for itself. Use a Redis nearby.`)
  } else if (median >= BUDGET / 5) {
    findings.warning('REDIS_LATENCY', what,
      'Every limited request waits this long. Use a Redis in the same zone.')
  } else findings.ok('REDIS_LATENCY', what)
}

const version: Check = (_client, findings, { redis_version: redis, valkey_version: valkey }) => {
  if (valkey !== undefined) return findings.ok('REDIS_VERSION', `Valkey ${valkey}`)
  if (redis === undefined) return findings.note('REDIS_VERSION', 'the server does not report its version')
  const [major = 0, minor = 0] = redis.split('.').map(Number)
  if (major > 6 || (major === 6 && minor >= 2)) findings.ok('REDIS_VERSION', `Redis ${redis}`)
  else if (major >= 5) {
    findings.warning('REDIS_VERSION', `Redis ${redis} no longer gets security fixes`,
      'Use Redis 7.2 or later, or Valkey.')
  } else {
    findings.error('REDIS_VERSION', `Redis ${redis} cannot run the script, which reads the time before it writes`,
      'Use Redis 7.2 or later, or Valkey.')
  }
}

const role: Check = (_client, findings, { role: name }) => {
  if (name === undefined) findings.note('REDIS_ROLE', 'the server does not report its role')
  else if (name === 'master') findings.ok('REDIS_ROLE', 'a primary')
  else findings.error('REDIS_ROLE', 'a replica, which cannot count', 'Give the address of the primary, or one that follows it.')
}

const mode: Check = (_client, findings, { cluster_enabled: cluster, redis_mode: kind }) => {
  if (kind === 'sentinel') {
    findings.error('REDIS_MODE', 'a sentinel, which finds the primary but counts nothing',
      'Make a `Redis` of ioredis with `sentinels` and `name`, and give it as `rateLimit.redis` (docs/recipes/redis-sentinel.md).')
  } else if (cluster !== '1') findings.ok('REDIS_MODE', 'a single server')
  else {
    findings.error('REDIS_MODE', 'a node of a cluster, which serves its own slots only',
      'Make a `Cluster` of ioredis and give it as `rateLimit.redis` instead of a URL.')
  }
}

/** The limiter's own script, with a key of its own that ends with this check. */
const script: Check = async (client, findings, _facts, keyPrefix) => {
  const runner = scriptRunner(client)
  const key = `${keyPrefix}{doctor-${randomUUID()}}`
  const item = (operation: string) => ['1', operation, 'fixed-window', '1', '1000000', '0', '1', '', '1']
  try {
    await runner.run(limitScript, [key], item('take'))
    await runner.run(limitScript, [key], item('reset'))
    findings.ok('REDIS_SCRIPT', 'the script of the limiter ran')
  } catch (error) {
    const [kind = 'an error'] = /^[A-Z]+/.exec(error instanceof Error ? error.message : '') ?? []
    findings.error('REDIS_SCRIPT', `the script of the limiter failed (${kind})`, scriptFixes[kind]?.(keyPrefix) ?? rights(keyPrefix))
  }
}

/** As docs/recipes/redis-cluster.md gives them. */
const commands = '+evalsha +eval +time +get +set +del +pexpire +pttl +zadd +zcard +zrem +zremrangebyscore'
const rights = (keyPrefix: string) =>
  `Allow the user: ~${keyPrefix}* ${commands}; give --key-prefix if the API has another \`keyPrefix\`.`

const scriptFixes: Readonly<Record<string, (keyPrefix: string) => string>> = {
  READONLY: () => 'This is a replica: give the address of the primary.',
  MOVED: () => 'This is a cluster: make a `Cluster` of ioredis and give it as `rateLimit.redis`.',
  OOM: () => 'The server is full: give it more memory, or set maxmemory-policy to volatile-ttl.',
  NOPERM: rights
}

/** What becomes of counters when the memory is full. All of ours have an expiry. */
const eviction: Check = (_client, findings, { maxmemory_policy: policy, maxmemory }) => {
  const advice = 'Set maxmemory-policy to volatile-ttl, in a Redis that is only for limits.'
  if (policy === undefined) findings.note('REDIS_EVICTION', 'the server does not report its policy')
  else if (maxmemory === '0') {
    findings.warning('REDIS_EVICTION',
    `maxmemory is not set (${policy}): the system ends the server when memory runs out`,
    'Set maxmemory, and maxmemory-policy to volatile-ttl.')
  } else if (policy === 'noeviction') {
    findings.warning('REDIS_EVICTION',
      'noeviction: a full server refuses to count, and each process counts for itself', advice)
  } else if (policy.startsWith('allkeys')) {
    findings.warning('REDIS_EVICTION',
    `${policy}: a full server forgets counters at will, and with them the callers over a limit`, advice)
  } else findings.ok('REDIS_EVICTION', policy)
}

const clock: Check = async (client, findings) => {
  const started = Date.now()
  const [seconds = 0, micros = 0] = (await client.time()).map(Number)
  const apart = Math.abs(seconds * 1000 + micros / 1000 - (started + Date.now()) / 2)
  const what = `${(apart / 1000).toFixed(1)} seconds apart from this machine`
  if (apart < TOLERANCE) findings.ok('REDIS_CLOCK', what)
  else findings.warning('REDIS_CLOCK', what, 'Limits use the clock of the server: synchronize both by NTP.')
}

/** A check that the server does not permit must not end the others. */
function tolerant (check: Check): Check {
  return async (client, findings, facts, keyPrefix) => {
    try {
      await check(client, findings, facts, keyPrefix)
    } catch (error) {
      findings.error('REDIS_CONNECT', `${connectFailure(error)} while asking`, 'Check the server, and what the user may do.')
    }
  }
}

const checks: readonly Check[] = [version, role, mode, latency, script, eviction, clock].map(tolerant)
