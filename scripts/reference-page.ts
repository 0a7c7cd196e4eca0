import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { paragraph, table } from './markdown.ts'
import { SchemaSources, type OptionDoc } from './option-docs.ts'

interface Chapter {
  readonly title: string
  readonly schema: string
  readonly note?: string
  /** Where the options stand; none for a shape that stands in several places. */
  readonly prefix?: string
  /** The application's section of which a route may state the same options. */
  readonly like?: Chapter
}

const limit: Chapter = { title: 'A limit', schema: 'LimitSchema' }
const headers: Chapter = { title: '`headers`', schema: 'HeadersOptionsSchema', prefix: 'headers' }
const cors: Chapter = { title: '`cors`', schema: 'CorsOptionsSchema', prefix: 'cors' }

/** In the order of the options of the suite. */
const sections: readonly Chapter[] = [
  {
    title: '`auth`',
    schema: 'AuthenticationOptionsSchema',
    prefix: 'auth',
    note: 'A single issuer may stand in `auth` itself: `{ issuer, audience }` is short for `{ issuers: [{ issuer, audience }] }`.'
  },
  { title: '`authorization`', schema: 'AuthorizationOptionsSchema', prefix: 'authorization' },
  { title: '`rateLimit`', schema: 'RateLimitOptionsSchema', prefix: 'rateLimit' },
  limit,
  headers,
  cors,
  { title: '`audit`', schema: 'AuditOptionsSchema', prefix: 'audit' },
  {
    title: '`openapi`',
    schema: 'OpenApiOptionsSchema',
    prefix: 'openapi',
    note: 'For an application that has @fastify/swagger. [API description](openapi.md) says more.'
  }
]

const ofRoutes: readonly Chapter[] = [
  { title: 'The rule', schema: 'RouteRuleSchema', prefix: 'config' },
  { title: '`config.headers`', schema: 'RouteHeadersSchema', prefix: 'config.headers', like: headers },
  { title: '`config.cors`', schema: 'RouteCorsSchema', prefix: 'config.cors', like: cors }
]

const server: Chapter = {
  title: '`secureServer()`',
  schema: 'SecureServerOptionsSchema',
  note: 'Options of the constructor, `Fastify(secureServer({ … }))`. [TLS](tls.md) says more of `tls`.'
}

/** The text of docs/reference.md, from the comments in the schemas. */
export function referencePage (root: string): string {
  const sources = new SchemaSources(schemaFiles(root), new Set([limit.schema]))
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

${chapter('##', server, sources)}
`
}

function schemaFiles (root: string): string[] {
  const lib = join(root, 'lib')
  return readdirSync(lib, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.ts')).sort().map(name => join(lib, name))
}

function chapter (level: string, { title, note, schema, prefix = '', like }: Chapter, sources: SchemaSources): string {
  const own = sources.options(schema).filter(({ text }) => text !== '')
  if (like === undefined) {
    return [`${level} ${title}`, ...note === undefined ? [] : [paragraph(note)], optionTable(prefix, own)].join('\n\n')
  }
  const common = sources.options(like.schema).filter(option => own.some(({ path, text }) => path === option.path && text === option.text))
  const changed = own.filter(option => !common.some(({ path }) => path === option.path))
  const inherited = paragraph(`Laid over ${like.title} of the application, for this route: ${listed(common)}.`)
  return [`${level} ${title}`, inherited, 'Its own:', optionTable(prefix, changed)].join('\n\n')
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
