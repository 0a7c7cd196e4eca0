const limitWords = {
  max: 'Write `limit`.',
  points: 'Write `limit`.',
  timeWindow: 'Write `window`.',
  windowMs: 'Write `window`.',
  duration: 'Write `window`.',
  interval: 'Write `window`.',
  keyGenerator: 'Write `by`: it says who shares a budget.',
  groupId: 'Give the limit a name in `rateLimit.policies`, and name it at each route.'
}

const corsWords = {
  origin: 'Write `origins: [...]`, a list of exact origins.',
  allowedHeaders: 'Write `requestHeaders`.',
  allowHeaders: 'Write `requestHeaders`.',
  exposedHeaders: 'Write `responseHeaders`.',
  exposeHeaders: 'Write `responseHeaders`.',
  preflightContinue: 'Leave it out: preflights are answered here.',
  optionsSuccessStatus: 'Leave it out: preflights are answered with 204.',
  preflight: 'Leave it out: preflights are answered here.',
  strictPreflight: 'Leave it out: a malformed preflight is refused.'
}

const headerWords = {
  frameguard: 'Write `frameOptions`.',
  xFrameOptions: 'Write `frameOptions`.',
  noSniff: 'Write `contentTypeOptions`.',
  strictTransportSecurity: 'Write `hsts`.',
  enableCSPNonces: 'Write `contentSecurityPolicy: { nonces: true }`.',
  csp: 'Write `contentSecurityPolicy`.',
  hidePoweredBy: 'Write `remove`: a list of headers that are never sent.',
  xssFilter: 'Leave it out: X-XSS-Protection is off, as browsers want it.'
}

/**
 * What people write who know the official plugins, or who put an option one level too high: where it stands, and what to write instead.
 * The place is the path without the route, and with `*` for a name or an index.
 */
const advice: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  '': {
    ...moved('auth', ['issuer', 'issuers', 'audience', 'preset', 'jwksUri', 'jwks', 'algorithms', 'roleClaims', 'scopeClaims',
      'clockTolerance', 'ownTokens', 'apiKeys', 'authenticators', 'isRevoked', 'tokenCache']),
    ...moved('cors', ['origins', 'credentials']),
    ...moved('rateLimit', ['redis', 'perAddress', 'failures']),
    ...moved('headers', ['contentSecurityPolicy', 'hsts', 'profile']),
    ...moved('authorization', ['routes', 'policies']),
    origin: 'Write `cors: { origins: [...] }`.',
    helmet: 'Write `headers: { ... }`.',
    csp: 'Write `headers: { contentSecurityPolicy: ... }`.',
    jwt: 'Write `auth: { issuer, audience }`, or `auth: { ownTokens: { ... } }` for tokens of your own.',
    secret: 'A shared secret signs nothing here: write `auth: { issuer, audience }`, or `auth.ownTokens: { secret }`.',
    domain: "Write `auth: { issuer: 'https://<domain>/', audience }`.",
    max: 'Write `rateLimit: { policies: { read: { limit, window } } }`.',
    timeWindow: 'Write `rateLimit: { policies: { read: { limit, window } } }`.',
    scope: 'Rules stand at a route: `config: { scope }`.',
    role: 'Rules stand at a route: `config: { role }`.',
    public: 'Rules stand at a route: `config: { public: true }`.',
    logger: 'Give the logger to `Fastify({ logger: true })`.',
    trustProxy: 'Give it to `Fastify({ trustProxy: [...] })`, or to `secureServer({ trustProxy: [...] })`.'
  },
  auth: {
    secret: 'A shared secret cannot be checked by a provider\'s keys: give `issuer` and `audience`, or `ownTokens: { secret }`.',
    domain: "Write `issuer: 'https://<domain>/'`.",
    issuerBaseURL: 'Write `issuer`.',
    authority: 'Write `issuer`.',
    aud: 'Write `audience`.',
    allowedIss: 'Write `issuer`.',
    allowedAud: 'Write `audience`.',
    jwksUrl: 'Write `jwksUri`.',
    trusted: 'Write `isRevoked`, which answers true for a token that is not to be accepted any more.',
    cache: 'Write `tokenCache`.',
    public: 'Rules stand at a route: `config: { public: true }`.',
    scope: 'Rules stand at a route: `config: { scope }`.'
  },
  rateLimit: {
    max: 'Write `policies: { read: { limit, window } }`; `read` and `write` hold where a route names no other.',
    timeWindow: 'Write `policies: { read: { limit, window } }`.',
    limit: 'Write `policies: { read: { limit, window } }`.',
    window: 'Write `policies: { read: { limit, window } }`.',
    limits: 'Write `policies`.',
    global: 'Every route is limited; `config: { rateLimit: false }` exempts one.',
    skipOnError: "Write `onStoreFailure: 'allow'`, or 'local' to count in each process.",
    nameSpace: 'Write `keyPrefix`.',
    store: 'Write `redis`, or leave it out to count in this process.',
    ban: 'Write `failures`: callers whose credentials fail are refused.',
    allowList: 'Exempt a route by `config: { rateLimit: false }`; callers cannot be exempted by address.',
    keyGenerator: 'Write `by` in a policy: it says who shares a budget.',
    enableDraftSpec: 'Leave it out: the fields of the draft are always sent.'
  },
  'rateLimit.policies.*': limitWords,
  'rateLimit.perAddress': limitWords,
  'rateLimit.failures': limitWords,
  'config.rateLimit': limitWords,
  cors: corsWords,
  'config.cors': corsWords,
  headers: headerWords,
  'config.headers': headerWords,
  audit: { logger: 'Write `sink`.', stream: 'Write `sink: event => stream.write(...)`.', level: 'Leave it out: every request is an event.' }
}

/** The advice for an unknown option, if it is one that people write. */
export function adviceFor (path: string): string | undefined {
  const [, route = '', rest = path] = /^(route .*: |)(.*)$/s.exec(path) ?? []
  const parts = rest.replace(/\[\d+\]/g, '').split('.')
  const name = parts.pop() ?? ''
  const place = route === '' && parts[0] === 'rateLimit' && parts.length === 3 ? 'rateLimit.policies.*' : parts.join('.')
  const words = Object.hasOwn(advice, place) ? advice[place] : place === 'auth.issuers' ? advice['auth'] : undefined
  return words !== undefined && Object.hasOwn(words, name) ? words[name] : undefined
}

/** The advice for a section that is no object of options. */
export function sectionAdvice (key: string, value: unknown): string | undefined {
  if (key === 'cors' && value === true) return 'List who may read answers: `cors: { origins: [...] }`.'
  if (key === 'auth' && value === true) return 'Write `auth: { issuer, audience }`.'
  if (value === true) return `Leave it out: it is on unless it is \`false\`. With options: \`${key}: { ... }\`.`
  if (key === 'cors' && (typeof value === 'string' || Array.isArray(value))) return `Write \`cors: { origins: ${shown([value].flat())} }\`.`
  if (key === 'audit' && typeof value === 'function') return 'Write `audit: { sink: event => { ... } }`, with this function as the sink.'
  if (key === 'rateLimit' && typeof value === 'number') {
    return `Write \`rateLimit: { policies: { read: { limit: ${value}, window: '1 minute' } } }\`.`
  }
  if (key === 'auth' && typeof value === 'string') return `Write \`auth: { issuer: ${shown(value)}, audience: '...' }\`.`
  return undefined
}

function shown (value: unknown): string {
  return JSON.stringify(value).replaceAll('"', "'")
}

function moved (section: string, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map(name => [name, `Move it into \`${section}\`: \`${section}: { ${name}: ... }\`.`]))
}
