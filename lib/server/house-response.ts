import { EventEmitter } from 'node:events'
import { ServerResponse, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyServerOptions } from 'fastify'
import { createClientErrorHandler, noteEdgeCode, say, type OverTls } from '../edge/index.ts'
import { refusal, writeBlocks, writeOnce, type AnswerCode, type HeaderPair, type Refusal } from '../http/index.ts'

type Headers = Readonly<Record<string, string>>
type PairsBy = (secure: boolean) => readonly HeaderPair[]

/** Refusals of Fastify before any hook, by its code (fastify.js: onBadUrl, onMaxParamLength, async constraints). */
const frameworkAnswers: Readonly<Record<string, AnswerCode>> = {
  FST_ERR_BAD_URL: 'SECURE_API_REQUEST_URL',
  FST_ERR_MAX_PARAM_LENGTH: 'SECURE_API_REQUEST_PARAMETER_TOO_LONG'
}

interface Sendable {
  code (status: number): Sendable
  headers (headers: Headers): Sendable
  send (body: string): unknown
}

/** For Fastify's `frameworkErrors`: the house format, without the URL that Fastify's own answer repeats. */
export function frameworkErrors (pairs: PairsBy): NonNullable<FastifyServerOptions['frameworkErrors']> {
  const [plain, secured] = [Object.fromEntries(pairs(false)), Object.fromEntries(pairs(true))]
  const known = new Map(Object.entries(frameworkAnswers).map(([code, answer]) => [code, refusal(answer)]))
  const other = refusal('SECURE_API_INTERNAL')
  return ({ code }, { protocol }, reply) => {
    const { code: own, status, headers, body } = known.get(code) ?? other
    noteEdgeCode(reply.raw, own)
    // The type of a reply comes from its route's schema; here there is no route.
    const untyped = reply as unknown as Sendable
    untyped.code(status).headers({ ...headers, ...protocol === 'https' ? secured : plain }).send(body)
  }
}

/**
 * For Fastify's `clientErrorHandler`: requests that the HTTP parser refuses. It has the name of Fastify's own handler, so that the edge
 * does not take it for one of the application, answers itself, and informs the audit trail.
 */
export function clientErrorHandler (pairs: readonly HeaderPair[]): (error: Error, socket: Socket) => void {
  const answer = createClientErrorHandler(new EventEmitter(), pairs)
  return function defaultClientErrorHandler (error, socket) {
    answer(error, socket)
  }
}

/**
 * The response class for Node's HTTP/1 server. Node refuses requests without Host or with an unknown Expect right after it creates the
 * response, with an empty body; the constructor detects them.
 */
export function houseResponse (pairs: PairsBy, overTls: OverTls): typeof ServerResponse {
  const missingHost = refusal('SECURE_API_REQUEST_HOST')
  const unknownExpectation = refusal('SECURE_API_REQUEST_EXPECTATION')
  class HouseResponse extends Base {
    constructor (request: IncomingMessage, options?: unknown) {
      super(request, options)
      const { headers: { host, expect }, httpVersionMinor } = request
      if (host === undefined && httpVersionMinor === 1) answerWith(this, missingHost, pairs(overTls(request)))
      else if (expect !== undefined && !understood.test(expect)) answerWith(this, unknownExpectation, pairs(overTls(request)))
    }
  }
  writeBlocks(HouseResponse)
  writeOnce(HouseResponse)
  // Node declares its class as generic in the request, which no subclass can be here.
  return HouseResponse as typeof ServerResponse
}

/** With the second argument that Node's server gives. */
const Base = ServerResponse as new (request: IncomingMessage, options?: unknown) => ServerResponse<IncomingMessage>

/** The only expectation that Node supports (RFC 9110 §10.1.1; `_http_server.js`, continueExpression). */
const understood = /(?:^|\W)100-continue(?:$|\W)/i

/** Node writes that status and ends without a body. Any other status is another answer and stays unchanged. */
function answerWith (response: ServerResponse, { status, headers, body }: Refusal, pairs: readonly HeaderPair[]): void {
  // Only ever called with the arguments it passes on.
  const writeHead = response.writeHead as (...parts: unknown[]) => ServerResponse
  response.writeHead = function (...parts: unknown[]) {
    if (parts[0] !== status || response.hasHeader('content-type')) return writeHead.apply(response, parts)
    return say({ headers: { ...headers, ...Object.fromEntries(pairs) }, body }, response, writeHead, parts)
  } as typeof response.writeHead
}
