import { STATUS_CODES } from 'node:http'
import { stdout } from 'node:process'
import type { AuditEvent } from '../../../plugins/index.ts'
import { codeOf, type Outcome } from './call.ts'
import type { Case } from './cases.ts'

/** Colour on a terminal only, and never against https://no-color.org. */
const coloured = stdout.isTTY === true && (process.env['NO_COLOR'] ?? '') === ''
const width = stdout.isTTY === true ? Math.max(60, stdout.columns) : 140

const paint = (code: number) => (text: string) => coloured ? `\x1b[${code}m${text}\x1b[0m` : text
const bold = paint(1)
const dim = paint(2)
const red = paint(31)
const green = paint(32)
const yellow = paint(33)

/** Request headers worth a line, and response headers that the suite decides. */
const requestHeaders = ['authorization', 'origin', 'access-control-request-method', 'access-control-request-headers']
const responseHeaders = [
  'www-authenticate', 'retry-after', 'ratelimit', 'ratelimit-policy', 'location', 'allow',
  'access-control-allow-origin', 'access-control-allow-methods', 'access-control-allow-headers',
  'cache-control', 'content-security-policy', 'x-content-type-options'
]

export function printHeading (text: string): void {
  console.log(`\n${bold(text)}`)
}

export function printNote (text: string): void {
  console.log(`\n${dim(`-- ${text}`)}`)
}

export function printOutcome (number: number, { title, times = 1 }: Case, outcome: Outcome): void {
  const { request, status, headers, event, differences } = outcome
  console.log(`\n${dim(String(number).padStart(2))} ${bold(title)}`)
  console.log(`   > ${request.method} ${request.path}${times === 1 ? '' : `  (${times} times)`}`)
  for (const name of requestHeaders) if (name in request.headers) line(name, short(name, request.headers[name] ?? ''))
  console.log(`   < ${statusText(status)}${suffix(codeOf(outcome.body))}`)
  for (const name of responseHeaders) line(name, headers.get(name))
  wrapped('audit', event === undefined ? 'none' : eventText(event))
  for (const difference of differences) console.log(`   ${red(`! ${difference}`)}`)
}

export function printTotal (right: number, total: number): void {
  const text = `${right} of ${total} answers as expected`
  console.log(`\n${right === total ? green(text) : red(text)}`)
}

/** Commands to try by hand while both servers run. */
export function printServing (url: string, issuer: string, token: string): void {
  printHeading('Both keep running until Ctrl-C')
  console.log(`   the API       ${url}\n   the provider  ${issuer}/.well-known/openid-configuration\n`)
  console.log(`TOKEN=${token}\n`)
  for (const rest of [
    '/orders', `-H "authorization: Bearer $TOKEN" ${url}/orders`,
    `-H "authorization: Bearer $TOKEN" -H 'content-type: application/json' -d '{"item":"tea","quantity":1}' ${url}/orders`,
    `-X OPTIONS -H 'origin: https://app.example.com' -H 'access-control-request-method: POST' ${url}/orders`
  ]) console.log(`curl -i ${rest.startsWith('/') ? url + rest : rest}`)
}

function line (name: string, value: string | null): void {
  if (value === null) return
  const text = `     ${name.padEnd(30)} ${value}`
  console.log(dim(text.length > width ? `${text.slice(0, width - 1)}…` : text))
}

/** For what must be told whole. */
function wrapped (name: string, value: string): void {
  let label = name
  let rest = value
  while (rest.length > 0) {
    const room = width - 36
    const cut = rest.length <= room ? rest.length : Math.max(rest.lastIndexOf(' ', room), 1)
    line(label, rest.slice(0, cut))
    rest = rest.slice(cut).trimStart()
    label = ''
  }
}

/** A token is far longer than a line, and its end is enough to tell it from another. */
function short (name: string, value: string): string {
  return name === 'authorization' && value.length > 40 ? `${value.slice(0, 18)}…${value.slice(-8)}` : value
}

function statusText (status: number): string {
  const text = `${status} ${STATUS_CODES[status] ?? ''}`
  return status < 400 ? green(text) : yellow(text)
}

function suffix (code: unknown): string {
  return typeof code === 'string' ? `  ${code}` : ''
}

/** Members that the lines above have told already. */
const told = ['time', 'method', 'status', 'route', 'requestId']

function eventText (event: AuditEvent): string {
  return Object.entries(event).filter(([name]) => !told.includes(name)).map(([name, value]) => `${name}=${plain(value)}`).join(' ')
}

function plain (value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value)
  const shown = Object.entries(value).filter(([name]) => name !== 'issuer')
  return `{${shown.map(([name, member]) => `${name}: ${typeof member === 'object' ? JSON.stringify(member) : String(member)}`).join(', ')}}`
}
