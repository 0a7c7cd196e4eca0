import { check, parseDuration, Problems, type Duration } from '../config/index.ts'
import { checkKeyFileMode, readKeyFile } from './file.ts'
import { ApiKeysOptionsSchema, type ApiKeysOptions } from './options.ts'
import { checkRecords } from './record.ts'

const sources = ['keys', 'file', 'lookup'] as const
/** What has an effect with one source only. */
const needs = { refresh: 'file', timeout: 'lookup', cache: 'lookup' } as const

/** Headers with a meaning of their own. */
const taken = ['authorization', 'proxy-authorization', 'cookie', 'host', 'connection', 'origin', 'forwarded', 'x-forwarded-for']

const HOUR = 3_600_000

/** What the schema cannot say. For options that may be anything: what the schema finds is reported by the section. */
export function validateApiKeys (
  options: ApiKeysOptions, path: string, problems: Problems, { development }: { readonly development: boolean }
): void {
  const found = new Problems()
  check(ApiKeysOptionsSchema, options, path, found)
  if (found.any) return
  checkSource(options, path, problems)
  if (taken.includes((options.header ?? '').toLowerCase())) {
    problems.add('SECURE_API_OPTION_VALUE', `${path}.header`, 'this header has another meaning', "Name one of your own: 'x-api-key'.")
  }
  checkDuration(options.refresh, `${path}.refresh`, 1000, HOUR, problems)
  checkDuration(options.timeout, `${path}.timeout`, 1, 10_000, problems)
  checkDuration(options.cache?.ttl, `${path}.cache.ttl`, 1, HOUR, problems)
  checkDuration(options.cache?.negativeTtl, `${path}.cache.negativeTtl`, 1, HOUR, problems)
  if (options.keys !== undefined) checkRecords(options.keys, `${path}.keys`, problems)
  if (options.file === undefined) return
  readKeyFile(options.file, `${path}.file`, problems)
  if (!development) checkKeyFileMode(options.file, `${path}.file`, problems)
}

function checkSource (options: ApiKeysOptions, path: string, problems: Problems): void {
  const given = sources.filter(name => options[name] !== undefined)
  if (given.length === 0) {
    problems.add('SECURE_API_OPTION_MISSING', `${path}.file`, 'nothing says which keys there are',
      'Give one of `keys`, `file` and `lookup`.')
  } else if (given.length > 1) {
    problems.add('SECURE_API_OPTION_CONFLICT', `${path}.${given[1]}`, `there are keys in \`${given.join('` and `')}\``, 'Keep one of them.')
  }
  for (const [name, source] of Object.entries(needs) as [keyof typeof needs, typeof sources[number]][]) {
    if (options[name] === undefined || options[source] !== undefined) continue
    problems.add('SECURE_API_OPTION_CONFLICT', `${path}.${name}`, `it has no effect without \`${source}\``, `Leave \`${name}\` out.`)
  }
}

function checkDuration (value: Duration | undefined, path: string, least: number, most: number, problems: Problems): void {
  const ms = value === undefined ? least : parseDuration(value) ?? least
  if (ms >= least && ms <= most) return
  problems.add('SECURE_API_OPTION_RANGE', path, `${ms} ms is out of range`, `Give ${least} ms to ${most} ms.`)
}
