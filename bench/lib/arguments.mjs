import { parseArgs } from 'node:util'

const options = {
  quick: { type: 'boolean', default: false },
  part: { type: 'string' },
  check: { type: 'boolean', default: false },
  commit: { type: 'boolean', default: false },
  write: { type: 'boolean', default: false },
  merge: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  only: { type: 'string', multiple: true },
  launches: { type: 'string' },
  rounds: { type: 'string' },
  seconds: { type: 'string' },
  kept: { type: 'boolean', default: false },
  report: { type: 'string' },
  dist: { type: 'string' },
  help: { type: 'boolean', default: false, short: 'h' }
}

const lengths = {
  quick: { launches: 2, rounds: 5, seconds: 0.4, warmup: 2 },
  full: { launches: 2, rounds: 3, seconds: 0.5, warmup: 3 }
}

/** The whole table, in pieces that take less than five minutes each. */
export const parts = Object.freeze([
  ['js', 'RS256-1', 'RS256-new'],
  ['RS256-20000', 'RS256-1000', 'redis'],
  ['ES256-1', 'ES256-20000', 'ES256-new'],
  ['EdDSA', 'audit', 'metrics'],
  ['refused', 'one-core', 'memory', 'start'],
  ['latency', 'flood']
])

export const usage = `Usage: npm run bench -- [options]

Without options: every group and every server, about 25 minutes. Better in parts:

  --quick            bare and the suite; RS256, one token, 20,000 in turn, every token new; under 2 minutes
  --part N           1 to ${parts.length}: a part of the whole, under 5 minutes, merged into what those before measured; 1 begins anew
  --only NAME        a group or section, or the start of its name (js, one-core, RS256, ES256-new, redis, audit, metrics, refused,
                     latency, flood, start, memory), under 2 minutes each; several with commas
  --launches N       how often each server is started anew (2)
  --rounds N         rounds of each launch (${lengths.full.rounds}; ${lengths.quick.rounds} with --quick)
  --seconds N        length of one window (${lengths.full.seconds}; ${lengths.quick.seconds} with --quick)
  --merge            together with what earlier runs measured (bench/.cache/results.json), as --part does
  --json             results as JSON on standard output
  --kept             measures nothing, takes what earlier runs kept (bench/.cache/results.json)
  --report FILE      the same of another file
  --commit           writes bench/results/ (the machine's name).json
  --write            docs/performance.md and docs/performance.svg
  --check            measures what bench/results/ has of the suite, compares; exit code 1 when something is worse
  --dist FOLDER      another build of the suite than dist/, which is built first otherwise
`

/** @param {readonly string[]} given */
export function parseArguments (given) {
  const { values } = parseArgs({ args: [...given], options, strict: true })
  const length = values.quick ? lengths.quick : lengths.full
  const part = partOf(values.part)
  const named = values.only?.flatMap(names => names.split(','))
  return {
    ...values,
    merge: values.merge || (part !== undefined && part !== parts[0]),
    only: part === undefined ? named : [...part, ...named ?? []],
    length: {
      ...length,
      launches: whole('launches', values.launches) ?? length.launches,
      rounds: whole('rounds', values.rounds) ?? length.rounds,
      seconds: positive('seconds', values.seconds) ?? length.seconds
    }
  }
}

function partOf (text) {
  if (text === undefined) return undefined
  const part = parts[whole('part', text) - 1]
  if (part === undefined) throw new TypeError(`--part takes 1 to ${parts.length}, not ${text}`)
  return part
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
