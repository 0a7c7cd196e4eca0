import { open } from 'node:fs/promises'
import { resolve } from 'node:path'
import { pipeline, type Readable } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'
import { createGunzip } from 'node:zlib'
import type { Call } from '../../lib/usage/index.ts'
import type { Terminal } from '../command.ts'

/** What became of the lines of the trails. */
export interface Read {
  events: number
  /** Lines of the application's log, and records of a chain. */
  other: number
  /** Lines that look like events and cannot be read, or are longer than a megabyte. */
  unreadable: number
  /** Events before `--since`. */
  before: number
}

/** An event is a few kilobytes; a line without an end must not fill the memory. */
const longest = 1 << 20

/** Gives every event of the trails to `see`, one after the other: no more than a line is kept. */
export async function readTrails (files: readonly string[], since: string, { stdin, cwd }: Terminal,
  see: (call: Call) => void): Promise<Read> {
  const read: Read = { events: 0, other: 0, unreadable: 0, before: 0 }
  for (const file of files) {
    for await (const line of linesOf(file === '-' ? stdin : await opened(resolve(cwd, file)))) {
      const call = callIn(line)
      if (typeof call === 'string') read[call]++
      else if (call.time < since) read.before++
      else {
        read.events++
        see(call)
      }
    }
  }
  return read
}

async function opened (file: string): Promise<Readable> {
  const stream = (await open(file)).createReadStream()
  // An error of the file ends the unpacking with it.
  return file.endsWith('.gz') ? pipeline(stream, createGunzip(), () => {}) : stream
}

/** Lines without their ends; undefined for one that is too long. */
async function * linesOf (stream: Readable): AsyncGenerator<string | undefined> {
  const decoder = new StringDecoder('utf8')
  let [rest, tooLong] = ['', false]
  for await (const chunk of stream) {
    const pieces = (rest + decoder.write(chunk as Buffer)).split('\n')
    rest = pieces.pop() ?? ''
    for (const piece of pieces) {
      yield tooLong || piece.length > longest ? undefined : piece
      tooLong = false
    }
    if (rest.length > longest) [rest, tooLong] = ['', true]
  }
  if (rest !== '' || tooLong) yield tooLong ? undefined : rest
}

type Fields = Readonly<Record<string, unknown>>

function callIn (line: string | undefined): Call | 'other' | 'unreadable' {
  if (line === undefined) return 'unreadable'
  // Most lines of a log are no events, and reading JSON is what takes the time.
  if (!line.includes('"outcome"')) return 'other'
  try {
    const parsed = fields(JSON.parse(line.slice(Math.max(0, line.indexOf('{')))))
    const event = fields(parsed?.['audit']) ?? parsed
    return event === undefined || typeof event['outcome'] !== 'string' ? 'other' : callOf(event) ?? 'unreadable'
  } catch {
    return 'unreadable'
  }
}

function fields (value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value as Fields : undefined
}

const outcomes: ReadonlySet<unknown> = new Set<Call['outcome']>(['allowed', 'denied', 'failed', 'aborted'])
const timeForm = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

/** A trail is a file that anybody may have changed: only what has the right shape is counted. */
function callOf ({ time, event, outcome, status, method, route, rule, principal, repeats = 1 }: Fields): Call | undefined {
  const isWhole = typeof time === 'string' && timeForm.test(time) && !Number.isNaN(Date.parse(time)) &&
    typeof event === 'string' && outcomes.has(outcome) && typeof status === 'number' && typeof method === 'string' &&
    Number.isSafeInteger(repeats) && Number(repeats) > 0 && isRule(rule)
  if (!isWhole) return undefined
  const who = principalOf(fields(principal))
  return {
    time,
    event: event as Call['event'],
    outcome: outcome as Call['outcome'],
    status,
    method,
    ...(typeof route === 'string' && { route }),
    ...(rule !== undefined && { rule }),
    ...(who !== undefined && { principal: who }),
    repeats: Number(repeats)
  }
}

function principalOf (given: Fields = {}): Call['principal'] {
  const { kind, subject, client, issuer, credential, scopes } = given
  if (typeof kind !== 'string' || typeof subject !== 'string') return undefined
  return {
    kind: kind as NonNullable<Call['principal']>['kind'],
    subject,
    ...(typeof client === 'string' && { client }),
    ...(typeof issuer === 'string' && { issuer }),
    ...(typeof credential === 'string' && { credential }),
    ...(Array.isArray(scopes) && { scopes: [...new Set(scopes.filter(scope => typeof scope === 'string'))] })
  }
}

const words: ReadonlySet<unknown> = new Set(['public', 'authenticated', 'none', undefined])

export function isRule (rule: unknown): rule is Call['rule'] {
  if (words.has(rule)) return true
  const { scope, policy } = fields(rule) ?? { scope: 0 }
  return [scope, policy].every(isRequirement)
}

function isRequirement (given: unknown): boolean {
  const { all, any } = fields(given) ?? {}
  const names = all ?? any
  return given === undefined || typeof given === 'string' || (Array.isArray(names) && names.every(name => typeof name === 'string'))
}
