import { isFunction, optionsOf, textsOf, unread } from './options.ts'
import type { Described, DescribedObject } from './types.ts'
import type { Mapped, Value } from './value.ts'

/** How a member of helmet is called here, and the part of it that counts. */
const renamed: ReadonlyArray<readonly [names: readonly string[], ours: string, part: string]> = [
  [['frameguard', 'xFrameOptions'], 'frameOptions', 'action'],
  [['referrerPolicy'], 'referrerPolicy', 'policy'],
  [['crossOriginOpenerPolicy'], 'crossOriginOpenerPolicy', 'policy'],
  [['crossOriginEmbedderPolicy'], 'crossOriginEmbedderPolicy', 'policy'],
  [['crossOriginResourcePolicy'], 'crossOriginResourcePolicy', 'policy'],
  [['permittedCrossDomainPolicies', 'xPermittedCrossDomainPolicies'], 'permittedCrossDomainPolicies', 'permittedPolicies']
]

const silent = [
  'hidePoweredBy', 'xPoweredBy', 'xssFilter', 'xXssProtection', 'ieNoOpen', 'xDownloadOptions', 'encapsulate', 'prefix', 'global'
]
const known = [...renamed.flatMap(([names]) => names), ...silent, 'contentSecurityPolicy', 'hsts', 'strictTransportSecurity', 'noSniff',
  'xContentTypeOptions', 'dnsPrefetchControl', 'xDnsPrefetchControl', 'originAgentCluster', 'enableCSPNonces']

/** Options of @fastify/helmet in the words of the suite. `pages`: the application serves HTML. */
export function mapHelmet (described: Described, { pages, secure }: { pages: boolean, secure: boolean }): Mapped {
  const options = optionsOf(described)
  const csp = policyOf(options['contentSecurityPolicy'])
  const hsts = options['strictTransportSecurity'] ?? options['hsts']
  const dns = options['xDnsPrefetchControl'] ?? options['dnsPrefetchControl']
  const sniff = options['xContentTypeOptions'] ?? options['noSniff']
  const framed = typeof (options['xFrameOptions'] ?? options['frameguard']) === 'object'
  const members: Record<string, Value> = {
    ...((pages || csp.page) && { profile: 'html' }),
    ...csp.value,
    ...(options['enableCSPNonces'] === true && {
      contentSecurityPolicy: { ...(csp.value['contentSecurityPolicy'] as object), nonces: true }
    }),
    ...(secure || hsts === false ? hstsOf(hsts) : {}),
    ...Object.fromEntries(renamed.filter(([, ours]) => ours !== 'frameOptions' || !csp.page)
      .flatMap(([names, ours, part]) => memberOf(options, names, ours, part))),
    ...(dns !== undefined && dns !== null && { dnsPrefetchControl: dnsOf(dns) }),
    ...(sniff === false && { contentTypeOptions: false }),
    ...(options['originAgentCluster'] === false && { originAgentCluster: false })
  }
  return {
    value: members,
    told: [
      ...csp.told,
      ...(csp.page && framed ? ['`frame-ancestors` of the policy says who may frame a page, as it did in browsers before'] : []),
      ...(secure || Object.keys(hstsOf(hsts)).length === 0 || hsts === false ? [] : [noTls]),
      ...(optionsOf(hsts)['preload'] === true && !mayPreload(hsts) ? [noPreload] : []),
      ...unread(options, known, '@fastify/helmet'),
      ...(options['global'] === false ? ['only some replies had headers (`global: false`); now all have'] : []),
      ...(pages && !csp.page ? [policyIsNew] : [])
    ]
  }
}

function dnsOf (dns: Described): Value {
  if (dns === false) return false
  return optionsOf(dns)['allow'] === true ? 'on' : 'off'
}

function memberOf (options: DescribedObject, names: readonly string[], ours: string, part: string): ReadonlyArray<[string, Value]> {
  const given = names.map(name => options[name]).find(value => value !== undefined && value !== null)
  if (given === undefined || given === true) return []
  if (given === false) return [[ours, false]]
  const value = optionsOf(given)[part]
  const text = Array.isArray(value) ? value.at(-1) as Described : value
  return typeof text === 'string' ? [[ours, text.toLowerCase()]] : []
}

const year = 31_536_000

/** What browsers ask of a site for their list; helmet's own defaults would do. */
function mayPreload (hsts: Described | undefined): boolean {
  const { maxAge = year, includeSubDomains = true } = optionsOf(hsts)
  return typeof maxAge === 'number' && maxAge >= year && includeSubDomains === true
}

/** helmet counts seconds. */
function hstsOf (hsts: Described | undefined): Record<string, Value> {
  if (hsts === false) return { hsts: false }
  const { maxAge, includeSubDomains, preload } = optionsOf(hsts)
  const members: Record<string, Value> = {
    ...(typeof maxAge === 'number' && { maxAge: `${maxAge} seconds` }),
    ...(typeof includeSubDomains === 'boolean' && { includeSubDomains }),
    ...(typeof preload === 'boolean' && { preload: preload && mayPreload(hsts) })
  }
  return Object.keys(members).length === 0 ? {} : { hsts: members }
}

const noPreload = '`hsts.preload` is off: browsers take a site into their list with a `maxAge` of a year and all subdomains only'
const noTls = '`hsts` is not carried over: the server has neither `https` nor `trustProxy`, and browsers ignore the header over http. ' +
  'Behind a proxy that terminates TLS, set `trustProxy`'

const policyIsNew = 'the policy for pages is that of the HTML profile: load each page once and look at the console of the browser'

interface Policy {
  readonly value: Record<string, Value>
  readonly told: readonly string[]
  readonly page: boolean
}

const reports = '`reportOnly` is `headers.contentSecurityPolicyReportOnly`, which needs an address for reports'
const unsafeSources: readonly unknown[] = ["'unsafe-inline'", "'unsafe-eval'", '*', 'https:', 'http:', 'data:']

function policyOf (csp: Described | undefined): Policy {
  if (csp === false) return { value: { contentSecurityPolicy: false }, told: [], page: false }
  const { directives, useDefaults, reportOnly } = optionsOf(csp)
  const given = Object.entries(optionsOf(directives))
  if (given.length === 0) return { value: {}, told: [], page: false }
  if (reportOnly === true) return { value: {}, told: [reports], page: true }
  const parts = given.map(([name, value]) => directive(name, value))
  const written = Object.fromEntries(parts.flatMap(part => 'told' in part ? [] : [[part.name, part.value]]))
  const unsafe = Object.entries(written).some(([name, value]) => (name.startsWith('script-src') || name === 'default-src') &&
    Array.isArray(value) && value.some(source => unsafeSources.includes(source)))
  return {
    value: {
      contentSecurityPolicy: { directives: { ...(useDefaults !== false && helmetDefaults), ...written } },
      ...(unsafe && { dangerouslyAllowUnsafeScripts: true })
    },
    told: parts.flatMap(part => 'told' in part ? [part.told] : []),
    page: true
  }
}

/** What helmet lays under the directives of the application, where the HTML profile has another. */
const helmetDefaults: Readonly<Record<string, Value>> = {
  'base-uri': ["'self'"],
  'font-src': ["'self'", 'https:', 'data:'],
  'frame-ancestors': ["'self'"],
  'style-src': ["'self'", 'https:', "'unsafe-inline'"]
}

type Directive = { readonly name: string, readonly value: Value } | { readonly told: string }

function directive (given: string, value: Described): Directive {
  const name = given.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)
  if (value === null) return { name, value: false }
  const texts = typeof value === 'string' ? [value] : textsOf(value)
  if (texts === undefined) {
    const what = isFunction(value) ? 'a function' : 'functions'
    return { told: `the directive \`${name}\` holds ${what}: write its sources, or use \`nonces\`` }
  }
  return { name, value: texts.length === 0 ? true : texts }
}
