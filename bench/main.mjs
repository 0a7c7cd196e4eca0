import { parseArguments, usage } from './lib/arguments.mjs'
import { prepare } from './lib/prepare.mjs'

const say = text => process.stderr.write(`${text}\n`)

try {
  const options = parseArguments(process.argv.slice(2))
  if (options.help) process.stdout.write(usage)
  else process.exitCode = await main(options)
} catch (error) {
  say(error instanceof Error && process.env['DEBUG'] === undefined ? error.message : error.stack)
  process.exitCode = 1
}

async function main (options) {
  prepare(options.dist)
  const { outputs } = await import('./lib/output.mjs')
  return await outputs(options, say)
}
