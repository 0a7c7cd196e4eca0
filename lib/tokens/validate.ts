import { parseDuration, type Problems } from '../config/index.ts'
import { validateIntrospection } from '../introspection/index.ts'
import {
  algorithms, checkInlineKeys, checkIssuerText, checkIssuerUrl, checkKeySetUrl, checkPublishedKeys, isSecureUrl, validateKeys,
  type PlainHosts
} from '../keys/index.ts'
import { claimPathFault } from './claims.ts'
import type { IssuerOptions } from './options.ts'
import { presets } from './presets.ts'
import { isDevelopmentIssuer, TENANT, tenantsOf } from './rules.ts'

/** In development, http is allowed on this machine, and a test issuer may stand for the provider of a preset. */
export interface ValidationContext {
  readonly development: boolean
}

type Rule = (options: IssuerOptions, path: string, problems: Problems, context: ValidationContext) => void

/** Reports what the schema cannot express. Options that it refused may be passed too: each rule looks only at values of the right type. */
export function validateIssuer (options: IssuerOptions, path: string, problems: Problems, context: ValidationContext): void {
  for (const rule of rules) rule(options, path, problems, context)
}

/** Validates all entries, no two of which may claim the same tokens. */
export function validateIssuers (list: readonly IssuerOptions[], path: string, problems: Problems, context: ValidationContext): void {
  const seen = new Map<string, string>()
  checkOneIntrospector(list, path, problems)
  list.forEach((options, index) => {
    const at = `${path}[${index}]`
    validateIssuer(options, at, problems, context)
    for (const name of exactNames(options)) {
      const first = seen.get(name)
      seen.set(name, at)
      if (first === undefined) continue
      problems.add('SECURE_API_ISSUER_DUPLICATE', `${at}.issuer`,
        `tokens of ${name} already belong to ${first}`, 'Make it one entry; `audience` takes a list.')
    }
  })
}

/** Keys of a provider would vouch for tokens of the application, and the other way round. */
export function refuseSharedIssuer (own: unknown, providers: readonly IssuerOptions[], path: string, problems: Problems): void {
  if (!providers.some(options => exactNames(options).some(name => name === own))) return
  problems.add('SECURE_API_ISSUER_DUPLICATE', path, 'a provider has this issuer too', 'Give the address of your API.')
}

function exactNames ({ issuer, tenants }: IssuerOptions): string[] {
  if (typeof issuer !== 'string') return []
  if (!issuer.includes(TENANT) || !Array.isArray(tenants)) return [issuer]
  return tenantsOf({ tenants: texts(tenants) }).map(tenant => issuer.replace(TENANT, tenant))
}

/** Only what is fetched must be a safe address. RFC 7519 §4.1.1: `iss` itself is any text (ADFS, Stytch). */
const issuerUrl: Rule = ({ issuer, jwksUri, jwks, keys }, path, problems, { development }) => {
  if (!isText(issuer)) return
  if (jwksUri !== undefined || jwks !== undefined) checkIssuerText(issuer, `${path}.issuer`, problems)
  else checkIssuerUrl(issuer.replace(TENANT, 'tenant'), plainHosts(keys, development), `${path}.issuer`, problems)
}

function plainHosts (keys: IssuerOptions['keys'], development: boolean): PlainHosts {
  return { loopback: development, names: development ? texts(keys?.insecureHosts) : [] }
}

/** Its private key lies in the project folder: whoever has the source may have the key. */
const developmentIssuer: Rule = ({ issuer }, path, problems, { development }) => {
  if (development || !isText(issuer) || !isDevelopmentIssuer(issuer)) return
  problems.add('SECURE_API_ISSUER_DEVELOPMENT', `${path}.issuer`,
    'anyone with the project folder can make its tokens',
    'Configure the real issuer here, and the development issuer only when `environment` (or NODE_ENV) is development.')
}

const issuerForm: Rule = ({ issuer, preset, keys }, path, problems, { development }) => {
  const [, before] = (isText(issuer) && /^(https?:.*?)\/*\/\.well-known\//.exec(issuer)) || []
  if (before !== undefined) {
    return problems.add('SECURE_API_ISSUER_FORM', `${path}.issuer`, 'this is the address of a metadata document, and no `iss` of a token',
      `Write its member \`issuer\`, probably '${before}'.`)
  }
  const known = isText(issuer) && preset !== undefined && Object.hasOwn(presets, preset) ? presets[preset] : undefined
  if (known === undefined || known.issuerForm.test(issuer)) return
  if (issuer.startsWith('http:') && isSecureUrl(issuer, plainHosts(keys, development))) return
  problems.add('SECURE_API_ISSUER_FORM', `${path}.issuer`, `no token of ${preset} has this \`iss\``, known.issuerHint)
}

/** Claims that every token of an issuer has, whoever it is for. They say nothing about an audience. */
const noAudiences = ['sub', 'exp', 'nbf', 'iat', 'jti', 'sid', 'scope', 'scp', 'typ']

const audienceClaim: Rule = ({ audienceClaim, audience, issuer }, path, problems) => {
  if (!isText(audienceClaim)) return
  if (noAudiences.includes(audienceClaim)) {
    problems.add('SECURE_API_ISSUER_AUDIENCE', `${path}.audienceClaim`,
      `\`${audienceClaim}\` does not say who a token is for`, "Name the claim that does: 'client_id', 'azp'.")
  }
  if (audienceClaim === 'iss' && isText(issuer) && !texts(audience).includes(issuer)) {
    problems.add('SECURE_API_ISSUER_AUDIENCE', `${path}.audience`,
      'with `audienceClaim: \'iss\'` only the issuer itself can match',
      'Repeat `issuer` here, if that issuer is for this application alone.')
  }
}

const audience: Rule = ({ audience, preset }, path, problems) => {
  for (const value of texts(audience)) {
    if (value.includes('*')) {
      problems.add('SECURE_API_ISSUER_AUDIENCE', `${path}.audience`,
        'audiences are compared literally: * is not a wildcard', 'List every name of this API.')
    }
    if (preset !== 'google' || !value.endsWith('.apps.googleusercontent.com')) continue
    problems.add('SECURE_API_ISSUER_AUDIENCE', `${path}.audience`,
      'a token for a client id is an ID token: it says who signed in there, not who may call here',
      'Give the address of this service, and let callers ask for a token for it.')
  }
}

const template: Rule = ({ issuer, tenants }, path, problems) => {
  if (!isText(issuer)) return
  const holds = issuer.includes(TENANT)
  if (/[{}]/.test(issuer.replace(TENANT, ''))) {
    problems.add('SECURE_API_ISSUER_TEMPLATE', `${path}.issuer`,
      `the only template is ${TENANT}, once`, `Write ${TENANT}, or the exact \`iss\`.`)
  }
  if (holds && tenants === undefined) {
    problems.add('SECURE_API_ISSUER_TENANTS', `${path}.tenants`,
      'without a list, every customer of the provider could let its own users in', 'List the tenant ids that may call.')
  }
  if (!holds && tenants !== undefined) {
    problems.add('SECURE_API_OPTION_CONFLICT', `${path}.tenants`,
      `the issuer has no ${TENANT} to put them in`, `Put ${TENANT} into \`issuer\`, or leave \`tenants\` out.`)
  }
}

/** A tenant becomes part of a URL: anything but a name could turn that into another issuer. */
const tenantNames: Rule = ({ tenants }, path, problems) => {
  for (const [index, tenant] of texts(tenants).entries()) {
    if (/^[\w.-]+$/.test(tenant) && !['common', 'organizations', 'consumers'].includes(tenant.toLowerCase())) continue
    problems.add('SECURE_API_ISSUER_TENANTS', `${path}.tenants[${index}]`,
      'this is not a tenant id as tokens carry it', 'Give the id: 8eaef023-2b34-4da1-9baa-8bc8c9d6a490.')
  }
}

const keySource: Rule = (options, path, problems) => {
  const given: string[] = (['jwksUri', 'jwks'] as const).filter(name => options[name] !== undefined)
  if (options.keys?.source !== undefined) given.push('keys.source')
  const all = options.discovery === true ? ['discovery', ...given] : given
  if (all.length > 1) {
    problems.add('SECURE_API_OPTION_CONFLICT', `${path}.${all.at(-1)}`,
      `keys come from one place, and there are ${all.join(' and ')}`, 'Keep one of them.')
  }
  if (!hasKeys(options) && options.introspection === undefined) {
    problems.add('SECURE_API_OPTION_CONFLICT', `${path}.discovery`,
      'without discovery there is no place to get keys from', 'Give `jwksUri`, `jwks` or `keys.source`, or leave `discovery` out.')
  }
  if (options.jwks !== undefined && options.keys !== undefined && options.introspection === undefined) {
    problems.add('SECURE_API_OPTION_CONFLICT', `${path}.keys`, 'an inline key set is never fetched', 'Leave `keys` out.')
  }
}

/** An issuer without any has opaque tokens only. */
export function hasKeys ({ discovery, jwksUri, jwks, keys }: Pick<IssuerOptions, 'discovery' | 'jwksUri' | 'jwks' | 'keys'>): boolean {
  return discovery !== false || jwksUri !== undefined || jwks !== undefined || keys?.source !== undefined
}

const introspection: Rule = (options, path, problems, { development }) => {
  const { introspection: given, issuer, keys } = options
  if (typeof given !== 'object' || given === null || !isText(issuer)) return
  if (issuer.includes(TENANT)) {
    return problems.add('SECURE_API_OPTION_CONFLICT', `${path}.introspection`,
      'an opaque token does not say which tenant it is of', 'Give an issuer without {tenantid}, or leave `introspection` out.')
  }
  const facts = {
    issuer, plain: plainHosts(keys, development), discovery: options.discovery !== false, keys: hasKeys(options), production: !development
  }
  validateIntrospection(given, facts, `${path}.introspection`, problems)
}

/** A token shown to an issuer that did not make it is a token in strange hands (RFC 7662 §4). */
function checkOneIntrospector (list: readonly IssuerOptions[], path: string, problems: Problems): void {
  const [, second] = list.flatMap(({ introspection }, index) => introspection === undefined ? [] : [index])
  if (second === undefined) return
  problems.add('SECURE_API_OPTION_CONFLICT', `${path}[${second}].introspection`,
    'opaque tokens do not say whose they are, and would be shown to several issuers', 'Keep it with one issuer.')
}

const keySet: Rule = ({ jwksUri, jwks, keys, algorithms: names = algorithms }, path, problems, { development }) => {
  if (isText(jwksUri)) checkKeySetUrl(jwksUri, plainHosts(keys, development), `${path}.jwksUri`, problems)
  if (jwks === undefined) return
  checkInlineKeys(jwks, algorithms.filter(name => names.includes(name)), `${path}.jwks`, problems)
  if (!development) checkPublishedKeys(jwks, `${path}.jwks`, problems)
}

const keyTimes: Rule = ({ keys }, path, problems, { development }) => {
  if (typeof keys === 'object' && keys !== null) validateKeys(keys, development ? 'development' : 'production', `${path}.keys`, problems)
}

/** Reports claim paths that cannot be read. */
export function checkClaimPaths (options: Pick<IssuerOptions, 'scopeClaims' | 'roleClaims'>, path: string, problems: Problems): void {
  for (const name of ['scopeClaims', 'roleClaims'] as const) {
    const list: unknown = options[name]
    if (!Array.isArray(list)) continue
    for (const [index, claim] of list.entries()) {
      const fault = isText(claim) || (Array.isArray(claim) && claim.every(isText)) ? claimPathFault(claim) : undefined
      if (fault === undefined) continue
      problems.add('SECURE_API_ISSUER_CLAIM_PATH', `${path}.${name}[${index}]`,
        fault, "Write 'scp', 'realm_access.roles', 'example.com/roles', or a list of names: ['resource_access', 'my.api', 'roles'].")
    }
  }
}

const MAX_TOLERANCE = 300_000
const MIN_AGE = 60_000

const times: Rule = ({ clockTolerance = 0, maxTokenAge = MIN_AGE }, path, problems) => {
  if ((parseDuration(clockTolerance) ?? 0) > MAX_TOLERANCE) {
    problems.add('SECURE_API_OPTION_RANGE', `${path}.clockTolerance`,
      'every token would live that much longer than its issuer intended', 'Give 5 minutes at most, and set the clocks by NTP.')
  }
  if ((parseDuration(maxTokenAge) ?? MIN_AGE) < MIN_AGE) {
    problems.add('SECURE_API_OPTION_RANGE', `${path}.maxTokenAge`, 'tokens would be too old before they arrive', 'Give a minute or more.')
  }
}

const rules: readonly Rule[] = [
  issuerUrl, developmentIssuer, issuerForm, audienceClaim, audience, template, tenantNames, keySource, keySet, keyTimes, introspection,
  checkClaimPaths, times
]

function isText (value: unknown): value is string {
  return typeof value === 'string' && value.trim() !== ''
}

function texts (value: unknown): string[] {
  return (Array.isArray(value) ? value : [value]).filter(isText)
}
