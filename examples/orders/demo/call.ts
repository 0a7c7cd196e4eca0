import type { AuditEvent } from '../../../plugins/index.ts'
import type { Case, Expected } from './cases.ts'
import type { World } from './world.ts'

/** One case as it went. */
export interface Outcome {
  readonly request: {
    readonly method: string,
    readonly path: string,
    readonly headers: Readonly<Record<string, string>>,
    readonly body?: string
  }
  readonly status: number
  readonly headers: Headers
  readonly body: string
  readonly event: AuditEvent | undefined
  /** What was expected and did not happen; empty when all is well. */
  readonly differences: readonly string[]
}

/** Sends the request of a case as often as it says, and compares the answers with what is expected. */
export async function call (world: World, example: Case): Promise<Outcome> {
  const request = await requestOf(world, example)
  const differences: string[] = []
  for (let sent = 1; ; sent++) {
    const { url } = world
    const response = await fetch(url + request.path,
      { method: request.method, headers: request.headers, ...request.body === undefined ? {} : { body: request.body } })
    const body = await response.text()
    const event = await world.nextEvent()
    if (event === undefined) differences.push(`audit event of request ${sent}: expected one, got none`)
    if (sent === (example.times ?? 1)) {
      differences.push(...compare(example.expect, response, body))
      return { request, status: response.status, headers: response.headers, body, event, differences }
    }
    if (!response.ok) differences.push(`request ${sent}: expected a success, got ${response.status}`)
  }
}

async function requestOf (world: World, { method, path, headers = {}, token, body }: Case): Promise<Outcome['request']> {
  const credential = token === undefined ? {} : { authorization: `Bearer ${await token(world)}` }
  if (body === undefined) return { method, path, headers: { ...headers, ...credential } }
  return { method, path, headers: { ...headers, ...credential, 'content-type': 'application/json' }, body: JSON.stringify(body) }
}

/** Every answer, whatever it is, carries the security headers. */
const onEveryAnswer = { 'x-content-type-options': 'nosniff' }

function compare ({ status, code, headers }: Expected, response: Response, body: string): string[] {
  const wrong = Object.entries({ ...onEveryAnswer, ...headers })
    .filter(([name, wanted]) => !holds(wanted, response.headers.get(name)))
    .map(([name, wanted]) => `${name}: expected ${wanted ?? 'none'}, got ${response.headers.get(name) ?? 'none'}`)
  if (response.status !== status) wrong.unshift(`status: expected ${status}, got ${response.status}`)
  if (code !== undefined && codeOf(body) !== code) wrong.push(`code: expected ${code}, got ${codeOf(body)}`)
  return wrong
}

function holds (wanted: string | RegExp | null, got: string | null): boolean {
  return wanted instanceof RegExp ? got !== null && wanted.test(got) : got === wanted
}

/** The `code` of an RFC 9457 document, or undefined. */
export function codeOf (body: string): unknown {
  try {
    return (JSON.parse(body) as { code?: unknown }).code
  } catch {
    return undefined
  }
}
