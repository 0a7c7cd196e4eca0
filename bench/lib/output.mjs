import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { chart } from './chart.mjs'
import { check } from './check.mjs'
import { full } from './groups.mjs'
import { page } from './report.mjs'
import { run } from './run.mjs'

const docs = new URL('../../docs/', import.meta.url)
const kept = new URL('../.cache/results.json', import.meta.url)

/** Runs what was asked for, and puts it where it was asked for. Returns the exit code. */
export async function outputs (options, say) {
  if (options.check || options.baseline) return await check(options, say)
  const results = options.report === undefined
    ? keep(await run(options, say), options.merge)
    : JSON.parse(readFileSync(options.report, 'utf8'))
  process.stdout.write(options.json ? `${JSON.stringify(results)}\n` : page(results))
  if (options.write) {
    writeFileSync(new URL('performance.md', docs), `${heading}${page(results)}`)
    writeFileSync(new URL('performance.svg', docs), chart(results.groups))
  }
  return 0
}

/** A long run can be made in parts: each replaces what it measured anew. */
function keep (results, merge) {
  const earlier = merge && existsSync(kept) ? JSON.parse(readFileSync(kept, 'utf8')) : { groups: [] }
  const all = { ...earlier, ...results, groups: merged(earlier.groups, results.groups) }
  mkdirSync(new URL('./', kept), { recursive: true })
  writeFileSync(kept, JSON.stringify(all))
  return all
}

function merged (earlier, fresh) {
  const order = full.map(({ name }) => name)
  const others = earlier.filter(({ name }) => !fresh.some(group => group.name === name))
  return [...others, ...fresh].sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name))
}

const heading = `# Performance

Written by \`npm run bench -- --write\`; the servers are in \`bench/servers\`. Ratios to a bare Fastify are what counts:
figures of one moment on one machine are background.

Every server but the bare one has the same controls: security headers, CORS for a request with an \`Origin\`, a limit for
the address and one for the principal, a bearer token checked for signature, algorithm, issuer, audience and expiry, and
a scope. Before it is timed each is asked nine things, and must answer 200, 401, 403 and 429 as it should. The answer is
202 bytes of JSON, with a response schema where the server knows such.

![Throughput of each server as a part of that of bare Fastify](performance.svg)

`
