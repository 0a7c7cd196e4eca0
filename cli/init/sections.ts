import { keysOf } from './get-jwks.ts'
import { mapCors } from './map-cors.ts'
import { mapHelmet } from './map-helmet.ts'
import { mapJwt } from './map-jwt.ts'
import { mapRateLimit } from './map-rate-limit.ts'
import { mapVerifier } from './map-verifier.ts'
import { tokenVerifiers } from './replaced.ts'
import type { Scene } from './scene.ts'
import { isPackage } from './sources.ts'
import { readsEnvironment } from './statement.ts'
import type { Registration, Stock } from './types.ts'
import type { Mapped, Value } from './value.ts'

const pagePlugins = ['@fastify/static', '@fastify/view', '@fastify/swagger-ui']
const noTokens = 'no plugin that checks tokens was found: `auth` is false, and your own hooks go on guarding. ' +
  'Give `auth: { issuer, audience }` when callers have tokens'

const noLogger = 'the server has no logger, so the audit trail goes to standard output. Give it a logger, or state another `audit.sink`'

/** The configuration of the suite that does what the plugins did. */
export function sectionsOf (scene: Scene, roleClaims: readonly string[]): Record<string, Value> {
  const { stock, findings, tokens } = scene
  if (!tokens) findings.tell('look', noTokens)
  if (!stock.logs) findings.tell('look', noLogger)
  const headers = { pages: registered(stock, ...pagePlugins) !== undefined, secure: stock.secure }
  const limitsAreNew = 'limits are new: 100 reads and 10 writes a minute for each caller'
  const options: Record<string, Value> = {
    auth: tokens && authOf(scene, roleClaims),
    rateLimit: section(scene, '@fastify/rate-limit', mapRateLimit, limitsAreNew),
    headers: section(scene, '@fastify/helmet', given => mapHelmet(given, headers), 'security headers are new, on every answer'),
    cors: section(scene, '@fastify/cors', mapCors),
    ...(!stock.logs && { audit: { sink: 'stdout' } }),
    ...(writesErrors(scene) && { errors: 'throw' })
  }
  return Object.fromEntries(Object.entries(options).filter(([name, value]) => name === 'auth' || !isEmpty(value)))
}

export function registered ({ registrations }: Stock, ...names: readonly string[]): Registration | undefined {
  return registrations.find(({ name }) => names.includes(name))
}

/** Plugins that check tokens. Some register @fastify/jwt themselves, which is not the application's. */
export function tokenPlugins ({ registrations }: Stock): readonly Registration[] {
  return registrations.filter(({ name, place }) => ['@fastify/jwt', ...tokenVerifiers].includes(name) && !(place && isPackage(place.file)))
}

function authOf (scene: Scene, roleClaims: readonly string[]): Value {
  const [first, ...more] = tokenPlugins(scene.stock)
  for (const { name, place } of more) scene.findings.tell('must', severalPlugins(name), place)
  const mapped = first !== undefined && tokenVerifiers.includes(first.name)
    ? mapVerifier(first.options, roleClaims)
    : mapJwt(first?.options ?? null, scene.signs, roleClaims, keysOf(scene.sources.all()))
  return kept(scene, mapped, first)
}

function severalPlugins (name: string): string {
  return `${name} checks tokens too, and is not carried over: write its provider in \`auth.issuers\``
}

function section (scene: Scene, name: string, map: (options: Registration['options']) => Mapped, otherwise?: string): Value {
  const { stock, findings } = scene
  const [found, ...more] = stock.registrations.filter(registration => registration.name === name)
  for (const { place } of more) {
    findings.tell('must', `${name} is registered again: write what differs at the routes of that scope`, place)
  }
  if (found === undefined) {
    if (otherwise !== undefined) findings.tell('note', otherwise)
    return {}
  }
  if (!found.root) findings.tell('look', `${name} was registered for one scope; now its settings are those of all routes`, found.place)
  return kept(scene, map(found.options), found)
}

function kept ({ findings, sources }: Scene, { value, told, lost = [] }: Mapped, registration: Registration | undefined): Value {
  const { autoloaded, name = '' } = registration ?? {}
  const place = registration?.place ?? (autoloaded === undefined ? undefined : { file: autoloaded, line: 1 })
  for (const text of lost) findings.tell('must', text, place)
  for (const text of told) findings.tell('note', text, place)
  const source = sources.get(place?.file)
  if (source !== undefined && readsEnvironment(source)) {
    findings.tell('look', `the values of ${name} are those of this run; this file reads process.env`, place)
  }
  return value
}

function writesErrors ({ stock, findings }: Scene): boolean {
  const own = stock.errorHandlers.find(place => place !== undefined && !isPackage(place.file))
  if (own !== undefined) findings.tell('note', 'the error handler goes on writing all errors (`errors: \'throw\'`)', own)
  return own !== undefined
}

function isEmpty (value: Value): boolean {
  return typeof value === 'object' && Object.keys(value).length === 0
}
