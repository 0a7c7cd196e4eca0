/** Every check of `secure-api doctor`, by its stable code. `docs/command-line.md` is checked against this table. */
export const checks = {
  ISSUER_URL: 'The issuer is an https address without query, fragment and credentials.',
  ISSUER_DISCOVERY: 'Metadata is available, by OpenID Connect discovery or RFC 8414.',
  ISSUER_MATCH: 'The metadata names exactly this issuer.',
  ISSUER_KEYS: 'The key set is available and has keys that can verify tokens.',
  ISSUER_KEY: 'A key of the set: its id, algorithms, size and use.',
  ISSUER_ALGORITHMS: 'What the metadata says the issuer signs with, and what is accepted here.',
  ISSUER_CLOCK: 'The clock of the issuer and that of this machine agree.',
  ISSUER_LATENCY: 'Metadata and keys come well within the time that the suite waits.',
  TLS_CHAIN: 'A client with the usual roots trusts the certificate for this name.',
  TLS_CERTIFICATE: 'The certificates that are sent are in order.',
  TLS_EXPIRY: 'The certificate is not near its end.',
  TLS_PROTOCOL: 'The connection uses TLS 1.2 or 1.3.',
  TLS_FLOOR: 'TLS 1.1 and older are refused.',
  REDIS_URL: 'The address is one of Redis, with a password or on this machine.',
  REDIS_CLIENT: 'The package ioredis is installed.',
  REDIS_CONNECT: 'The server accepts the connection and the credentials.',
  REDIS_TLS: 'What travels over a network is encrypted.',
  REDIS_LATENCY: 'Answers come well within the 50 ms that a request waits for the limiter.',
  REDIS_VERSION: 'The server is recent enough.',
  REDIS_SCRIPT: 'The script of the limiter runs: EVALSHA, TIME and writing are allowed.',
  REDIS_ROLE: 'The server is a primary.',
  REDIS_MODE: 'The server is neither a node of a cluster nor a sentinel, which need a client made for them.',
  REDIS_EVICTION: 'A full server neither refuses counters nor forgets them first.',
  REDIS_CLOCK: 'The clock of the server is right.',
  API_REACHABLE: 'The API answers.',
  API_TLS: 'The API is reached over TLS.',
  API_HEADERS: 'Security headers are on this kind of answer.',
  API_BANNER: 'No header tells which software answers.',
  API_LEAK: 'No answer shows a stack, a path of the server or a message of a library.',
  API_CHALLENGE: 'Without a token the answer is 401 with a Bearer challenge.',
  API_FORGED: 'A forged token is refused with 401.',
  API_CORS_FOREIGN: 'A web page of a stranger may not read answers.',
  API_CORS_ORIGIN: 'The web page of this origin may make requests.',
  API_METHOD: 'A method that the resource does not have is refused.',
  API_RATE_LIMIT: 'Answers tell the limit that applies.',
  TOKEN_FORM: 'The token is a signed JWT.',
  TOKEN_VERDICT: 'What an API with this configuration would answer.',
  TOKEN_CHECK: 'A check that the token fails.',
  TOKEN_PRESET: 'The preset of the provider is used, where there is one.',
  TOKEN_SIGNATURE: 'The signature was checked.',
  TOKEN_LIFETIME: 'The token does not live longer than a day.',
  TOKEN_PRINCIPAL: 'Who calls, as the application would see it.',
  ENVIRONMENT_NODE_ENV: 'NODE_ENV says which environment this is.',
  ENVIRONMENT_VARIABLES: 'The SECURE_API_ variables can be read and are complete.',
  ENVIRONMENT_ORIGINS: 'The origins in SECURE_API_CORS_ORIGINS are valid.'
} as const

export type CheckCode = keyof typeof checks
export type Level = 'ok' | 'note' | 'warning' | 'error'

/** What one check found. Holds no secret. */
export interface Finding {
  readonly code: CheckCode
  readonly level: Level
  /** What it is about, where there are several. */
  readonly subject?: string
  readonly what: string
  readonly fix?: string
}

/** One thing that was examined. */
export interface Examination {
  readonly title: string
  readonly findings: readonly Finding[]
  /** What else there is to show: decoded parts, configuration to write. */
  readonly details?: Readonly<Record<string, unknown>>
}

/** Whoever answers chooses a part of these texts: a name of half a megabyte would take minutes to break into lines. */
const longest = { subject: 200, text: 2000 }

/** Collects findings in the order of asking. */
export class Findings {
  readonly list: Finding[] = []

  ok (code: CheckCode, what: string, subject?: string): void {
    this.#add({ code, level: 'ok', what }, subject)
  }

  note (code: CheckCode, what: string, subject?: string): void {
    this.#add({ code, level: 'note', what }, subject)
  }

  warning (code: CheckCode, what: string, fix: string, subject?: string): void {
    this.#add({ code, level: 'warning', what, fix }, subject)
  }

  error (code: CheckCode, what: string, fix: string, subject?: string): void {
    this.#add({ code, level: 'error', what, fix }, subject)
  }

  #add (finding: Finding, subject: string | undefined): void {
    const { what, fix } = finding
    this.list.push({
      ...finding,
      what: cut(what, longest.text),
      ...(fix !== undefined && { fix: cut(fix, longest.text) }),
      ...(subject !== undefined && { subject: cut(subject, longest.subject) })
    })
  }
}

function cut (text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most)}…` : text
}
