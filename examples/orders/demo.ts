import { once } from 'node:events'
import { argv } from 'node:process'
import { call } from './demo/call.ts'
import { cases } from './demo/cases.ts'
import { printHeading, printNote, printOutcome, printServing, printTotal } from './demo/print.ts'
import { World } from './demo/world.ts'

/** Walks through the orders API as a caller would; with `--serve` both servers stay until Ctrl-C. */
const world = await World.start()
try {
  printHeading(`The orders API at ${world.url}, tokens from the OpenID provider at ${world.provider.issuer}`)
  const right = await walk(world)
  printTotal(right, cases.length)
  if (right < cases.length) process.exitCode = 1
  if (argv.includes('--serve')) await serve(world)
} finally {
  await world.stop()
}

/** How many of the answers were the expected ones. */
async function walk (world: World): Promise<number> {
  let right = 0
  for (const [index, example] of cases.entries()) {
    if (example.before !== undefined) {
      printNote(example.before.says)
      await example.before.run(world)
    }
    const outcome = await call(world, example)
    printOutcome(index + 1, example, outcome)
    if (outcome.differences.length === 0) right++
  }
  return right
}

async function serve (world: World): Promise<void> {
  printServing(world.url, world.provider.issuer, await world.provider.token({ scope: 'api.read api.write' }))
  const keepAlive = setInterval(() => {}, 60_000)
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')])
  clearInterval(keepAlive)
}
