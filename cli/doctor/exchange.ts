import http, { type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import https from 'node:https'

/** What came back. */
export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** The first 64 KiB. */
  readonly body: string
  /** Milliseconds until the headers came. */
  readonly ms: number
  /** Epoch milliseconds half-way between asking and the headers. */
  readonly at: number
}

export interface Exchange {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  /** The target as it is sent, where a URL could not hold it. */
  readonly path?: string
}

const TIMEOUT = 10_000
const MOST = 64 * 1024

/**
 * One request on a connection of its own. No redirect is followed, and an untrusted certificate is no reason to stop:
 * that is a finding of its own.
 */
export async function exchange (url: URL, { method = 'GET', headers = {}, path }: Exchange = {}): Promise<Answer> {
  const started = Date.now()
  const secure = url.protocol === 'https:'
  const outgoing = (secure ? https : http).request(url, {
    method,
    agent: false,
    headers: { accept: '*/*', 'user-agent': 'fastify-secure-api doctor', ...headers },
    signal: AbortSignal.timeout(TIMEOUT),
    ...(path === undefined ? undefined : { path }),
    ...(secure ? { rejectUnauthorized: false } : undefined)
  })
  try {
    const incoming = await responseOf(outgoing.end())
    const ended = Date.now()
    return {
      status: incoming.statusCode ?? 0,
      headers: incoming.headers,
      body: await beginning(incoming),
      ms: ended - started,
      at: (started + ended) / 2
    }
  } finally {
    outgoing.destroy()
  }
}

function responseOf (outgoing: http.ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    outgoing.once('response', resolve)
    outgoing.on('error', reject)
  })
}

async function beginning (incoming: IncomingMessage): Promise<string> {
  let text = ''
  incoming.setEncoding('utf8')
  for await (const chunk of incoming) {
    text += String(chunk)
    if (text.length > MOST) break
  }
  return text.slice(0, MOST)
}

/** Why an exchange failed, in the words of the network. */
export function failureOf (error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  if (error.name === 'AbortError' || error.name === 'TimeoutError') return 'no answer in 10 seconds'
  return 'code' in error ? String(error.code) : error.message
}
