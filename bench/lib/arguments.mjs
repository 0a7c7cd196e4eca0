import { parseArgs } from 'node:util'

const options = {
  quick: { type: 'boolean', default: false },
  check: { type: 'boolean', default: false },
  baseline: { type: 'boolean', default: false },
  write: { type: 'boolean', default: false },
  merge: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  only: { type: 'string', multiple: true },
  launches: { type: 'string' },
  rounds: { type: 'string' },
  seconds: { type: 'string' },
  report: { type: 'string' },
  dist: { type: 'string' },
  help: { type: 'boolean', default: false, short: 'h' }
}

const lengths = {
  quick: { launches: 1, rounds: 3, seconds: 0.7, warmup: 0.7 },
  full: { launches: 3, rounds: 3, seconds: 1.5, warmup: 1 }
}

export const usage = `Usage: npm run bench -- [options]

Without options: every group and every server, about 45 minutes.

  --quick            bare, the suite, the official plugins; 1 token, 20,000 in turn, every token new; under 2 minutes
  --only NAME        a group or section, or the start of its name (RS256, ES256-new, redis, audit, refused, latency,
                     flood, start, memory); several with commas
  --launches N       how often each server is started anew (3)
  --rounds N         rounds of each launch (3)
  --seconds N        length of one measurement (1.5)
  --json             results as JSON on standard output, each sample in them
  --merge            with --only: together with what earlier runs measured (bench/.cache/results.json)
  --write            docs/performance.md and docs/performance.svg
  --report FILE      measures nothing, takes results that --json wrote
  --check            CPU and allocations of a request against bench/baseline.json; exit code 1 when one is worse
  --baseline         writes bench/baseline.json
  --dist FOLDER      another build of the suite than dist/, which is built first otherwise
`

/** @param {readonly string[]} given */
export function parseArguments (given) {
  const { values } = parseArgs({ args: [...given], options, strict: true })
  const length = values.quick ? lengths.quick : lengths.full
  return {
    ...values,
    only: values.only?.flatMap(names => names.split(',')),
    length: {
      ...length,
      launches: whole('launches', values.launches) ?? length.launches,
      rounds: whole('rounds', values.rounds) ?? length.rounds,
      seconds: positive('seconds', values.seconds) ?? length.seconds
    }
  }
}

function whole (name, text) {
  const number = positive(name, text)
  if (number !== undefined && !Number.isInteger(number)) throw new TypeError(`--${name} takes a whole number, not ${text}`)
  return number
}

function positive (name, text) {
  if (text === undefined) return undefined
  const number = Number(text)
  if (!(number > 0)) throw new TypeError(`--${name} takes a number above 0, not ${text}`)
  return number
}
