import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { AuditOptionsSchema } from '../lib/audit/index.ts'
import { AuthenticationOptionsSchema } from '../lib/authentication/index.ts'
import { Type, type Schema } from '../lib/config/index.ts'
import { CorsOptionsSchema, RouteCorsSchema } from '../lib/cors/index.ts'
import { HeadersOptionsSchema, RouteHeadersSchema } from '../lib/headers/index.ts'
import { HealthOptionsSchema } from '../lib/health/index.ts'
import { LimitSchema, RateLimitOptionsSchema } from '../lib/limits/index.ts'
import { LoginGuardOptionsSchema } from '../lib/limits/login-options.ts'
import { OpenApiOptionsSchema } from '../lib/openapi/index.ts'
import { AuthorizationOptionsSchema, RouteRuleSchema } from '../lib/rules/index.ts'
import { SecretPlaceSchema } from '../lib/secrets/index.ts'
import { SecureServerOptionsSchema } from '../lib/server/options.ts'
import { TelemetryOptionsSchema } from '../lib/telemetry/index.ts'
import { IssuerOptionsSchema } from '../lib/tokens/index.ts'
import { paragraph, table } from './markdown.ts'
import { SchemaSources, type OptionDoc } from './option-docs.ts'
import { valuesOf } from './option-values.ts'

interface Chapter {
  readonly title: string
  /** The name of a schema, or of an interface. */
  readonly source: string
  /** The schema itself, from which the values of its options are read; an interface has them in its comments. */
  readonly schema?: Schema
  readonly note?: string
  /** Where the options stand; none for a shape that stands in several places. */
  readonly prefix?: string
  /** The application's section of which a route may state the same options. */
  readonly like?: Chapter
}

const limit: Chapter = { title: 'A limit', source: 'LimitSchema', schema: LimitSchema }
const secret: Chapter = {
  title: 'A secret',
  source: 'SecretPlaceSchema',
  schema: SecretPlaceSchema,
  note: '`{ env }`, `{ file }` or `{ provider, name }`, with the rest as wanted; or `new Secret(value)`. [Secrets](secrets.md) says more.'
}
const headers: Chapter = { title: '`headers`', source: 'HeadersOptionsSchema', schema: HeadersOptionsSchema, prefix: 'headers' }
const cors: Chapter = { title: '`cors`', source: 'CorsOptionsSchema', schema: CorsOptionsSchema, prefix: 'cors' }

/** In the order of the options of the suite. */
const sections: readonly Chapter[] = [
  { title: 'The suite', source: 'SecureApiOptions', note: 'Options of `register(secureApi, { … })`. The sections follow one by one.' },
  {
    title: '`auth`',
    source: 'AuthenticationOptionsSchema',
    schema: AuthenticationOptionsSchema,
    prefix: 'auth',
    note: 'A single issuer may stand in `auth` itself: `{ issuer, audience }` is short for `{ issuers: [{ issuer, audience }] }`.'
  },
  { title: '`authorization`', source: 'AuthorizationOptionsSchema', schema: AuthorizationOptionsSchema, prefix: 'authorization' },
  { title: '`rateLimit`', source: 'RateLimitOptionsSchema', schema: RateLimitOptionsSchema, prefix: 'rateLimit' },
  limit,
  secret,
  headers,
  cors,
  { title: '`audit`', source: 'AuditOptionsSchema', schema: AuditOptionsSchema, prefix: 'audit' },
  {
    title: '`openapi`',
    source: 'OpenApiOptionsSchema',
    schema: OpenApiOptionsSchema,
    prefix: 'openapi',
    note: 'For an application that has @fastify/swagger. [API description](openapi.md) says more.'
  },
  {
    title: '`health`',
    source: 'HealthOptionsSchema',
    schema: HealthOptionsSchema,
    prefix: 'health',
    note: 'No routes without it; `health: {}` adds them. [Health](operations/health.md) and [shutdown](operations/shutdown.md) say more.'
  },
  { title: '`telemetry`', source: 'TelemetryOptionsSchema', schema: TelemetryOptionsSchema, prefix: 'telemetry' }
]

const ofRoutes: readonly Chapter[] = [
  { title: 'The rule', source: 'RouteRuleSchema', schema: RouteRuleSchema, prefix: 'config' },
  { title: '`config.headers`', source: 'RouteHeadersSchema', schema: RouteHeadersSchema, prefix: 'config.headers', like: headers },
  { title: '`config.cors`', source: 'RouteCorsSchema', schema: RouteCorsSchema, prefix: 'config.cors', like: cors }
]

/** Options of functions. */
const functions: readonly Chapter[] = [
  {
    title: '`secureServer()`',
    source: 'SecureServerOptionsSchema',
    schema: SecureServerOptionsSchema,
    note: 'Options of the constructor, `Fastify(secureServer({ … }))`. [TLS](tls.md) says more of `tls`.'
  },
  {
    title: '`app.loginGuard()`',
    source: 'LoginGuardOptionsSchema',
    schema: LoginGuardOptionsSchema,
    note: '[Rate limiting](rate-limiting.md#signing-in-and-signing-up) says how to use it.'
  },
  { title: '`createDenylist()`', source: 'DenylistOptions', note: '[Authentication](authentication.md) says how to use it.' },
  {
    title: '`createTestIssuer()`',
    source: 'TestIssuerOptions',
    schema: Type.Object({ preset: IssuerOptionsSchema.properties.preset }),
    note: 'From `fastify-secure-api/testing`: [testing](testing.md).'
  },
  { title: '`developmentIssuer()`', source: 'DevelopmentIssuerOptionsSchema', note: 'From `fastify-secure-api/testing`.' }
]

/** The text of docs/reference.md, from the comments in the schemas. */
export function referencePage (root: string): string {
  const sources = new SchemaSources(schemaFiles(root), new Set([limit.source, secret.source, 'SecretSourceSchema', 'SecretNowSchema']))
  return `# Reference of options

<!-- Made by \`npm run docs\` from the comments in the schemas; a test compares. -->

All options are checked when the plugin is registered, and those of a route when the route is. [Codes](errors.md) lists
what can be wrong. Durations are milliseconds, or text such as \`'30 seconds'\`, \`'5 minutes'\`, \`'24 hours'\`.

${sections.map(section => chapter('##', section, sources)).join('\n\n')}

## Options of a route

They stand in \`config\` of the route.

${ofRoutes.map(section => chapter('###', section, sources)).join('\n\n')}

### \`config.rateLimit\`

The name of a policy of \`rateLimit.policies\`, a list of names (all must admit), [a limit](#a-limit) of its own, or
\`false\` for none. Without it: \`read\` for GET, HEAD and OPTIONS, and \`write\` for the rest.

### \`config.audit\`

The name of the action in the audit trail, such as \`'orders.create'\`; \`false\` leaves allowed calls out of it.
Without it the action is the method and the route.

${functions.map(section => chapter('##', section, sources)).join('\n\n')}
`
}

function schemaFiles (root: string): string[] {
  const within = (folder: string) => readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts')).sort().map(name => join(root, folder, name))
  return [...within('lib'), ...within('testing'), join(root, 'plugins/secure-api.ts')]
}

function chapter (level: string, { title, note, source, schema, prefix = '', like }: Chapter, sources: SchemaSources): string {
  // A member of several shapes stands once.
  const stated = new Map(sources.options(source).filter(({ text }) => text !== '').map(option => [option.path, option]))
  const own = withValues([...stated.values()], schema)
  if (like === undefined) {
    return [`${level} ${title}`, ...note === undefined ? [] : [paragraph(note)], optionTable(prefix, own)].join('\n\n')
  }
  const ofLike = withValues(sources.options(like.source), like.schema)
  const common = ofLike.filter(option => own.some(({ path, text }) => path === option.path && text === option.text))
  const changed = own.filter(option => !common.some(({ path }) => path === option.path))
  const inherited = paragraph(`Laid over ${like.title} of the application, for this route: ${listed(common)}.`)
  return [`${level} ${title}`, inherited, 'Its own:', optionTable(prefix, changed)].join('\n\n')
}

/** Adds the values of an option whose text does not name each of them. */
function withValues (options: readonly OptionDoc[], schema: Schema | undefined): readonly OptionDoc[] {
  if (schema === undefined) return options
  const values = valuesOf(schema)
  return options.map(option => {
    const own = [...values.get(option.path) ?? []]
    if (own.every(value => isNamed(value, option.text))) return option
    return { ...option, text: `${option.text} ${sentence(own.map(value => `\`${value}\``))}` }
  })
}

/** With its quotes or without; `false` and `true` are named beside texts only. */
function isNamed (value: string, text: string): boolean {
  return !value.startsWith("'") || [value, value.slice(1, -1)].some(written => text.includes(`\`${written}\``))
}

function sentence (values: readonly string[]): string {
  return values.length === 1 ? `The only value is ${values.join()}.` : `One of ${values.join(', ')}.`
}

function listed (options: readonly OptionDoc[]): string {
  return options.filter(({ path }) => !path.includes('.')).map(({ path }) => `\`${path}\``).join(', ')
}

function optionTable (prefix: string, options: readonly OptionDoc[]): string {
  return table(['option', 'default', 'what it does'], options.map(({ path, required, text, default: fallback }) => {
    return [`\`${[prefix, path].filter(part => part !== '').join('.')}\``, fallback === undefined
      ? (required ? 'required' : '')
      : literal(fallback), text]
  }))
}

/** A default that is a value, not a sentence, as code. */
function literal (text: string): string {
  return /^(?:true|false|[\d_]+|'[^']*'|"[^"]*"|\{.*\}|\[.*\])$/.test(text) ? `\`${text}\`` : text
}
