import { readFileSync, writeFileSync } from 'node:fs'
import { chart } from './chart.mjs'
import { check } from './check.mjs'
import { page } from './report.mjs'
import { commit, earlier, keep, merged } from './results.mjs'
import { run } from './run.mjs'

const docs = new URL('../../docs/', import.meta.url)

/** Runs what was asked for, and puts it where it was asked for. Returns the exit code. */
export async function outputs (options, say) {
  if (options.check) return await check(options, say)
  const results = options.kept || options.report !== undefined ? read(options) : await measured(options, say)
  process.stdout.write(options.json ? `${JSON.stringify(results)}\n` : page(results))
  if (options.commit) say(`written: bench/results/${commit(results).pathname.split('/').at(-1)}`)
  if (options.write) {
    writeFileSync(new URL('performance.md', docs), `${heading}${page(results)}`)
    writeFileSync(new URL('performance.svg', docs), chart(results.groups))
  }
  return 0
}

function read ({ report }) {
  if (report !== undefined) return JSON.parse(readFileSync(report, 'utf8'))
  const results = earlier()
  if (results === undefined) throw new Error('nothing is kept: no part was measured yet')
  return results
}

async function measured (options, say) {
  const fresh = await run(options, say)
  const results = options.merge ? merged(earlier(), fresh) : fresh
  keep(results)
  return results
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
