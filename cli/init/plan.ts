import type { Place } from '../routes/record.ts'
import { callOf, isImplied, isTwin, nameOf, samePlace } from './declared.ts'
import { hookSpans, routeEdits } from './edit-route.ts'
import { Findings, type Finding } from './findings.ts'
import { layoutOf } from './layout.ts'
import { limitOf } from './map-rate-limit.ts'
import { optionsOf } from './options.ts'
import { pluginFile } from './plugin-file.ts'
import { removeByHand, removeRegistrations } from './removals.ts'
import { tellRest } from './rest.ts'
import { proposeRule, type ProposedRule } from './rules.ts'
import type { Scene } from './scene.ts'
import { sectionsOf, tokenPlugins } from './sections.ts'
import { Sources, type Change, type Source } from './sources.ts'
import { is, tokensOf } from './tokens.ts'
import type { Guard, Stock, StockRoute } from './types.ts'
import type { Value, ValueObject } from './value.ts'

export interface RoutePlan {
  readonly route: string
  /** What is written, or an empty text. */
  readonly rule: string
  /** Where: at the declaring call, in the plugin file, or nowhere. */
  readonly written: 'route' | 'plugin' | 'none'
  readonly place?: Place
}

export interface Plan {
  readonly plugin: string
  readonly options: ValueObject
  readonly routes: readonly RoutePlan[]
  readonly findings: readonly Finding[]
  readonly changes: readonly Change[]
}

const withoutTokens = 'Nobody is authenticated by a token here, so the hooks of the application go on guarding its routes.'

/** Everything that would be changed, and everything that a person should know. */
export function planFor (stock: Stock, appFile: string): Plan {
  const scene = sceneOf(stock, appFile)
  const { sources, findings, layout, tokens } = scene
  const rules = stock.routes.filter(route => !isImplied(route, stock.routes)).map(route => ({ route, proposed: propose(route, scene) }))
  const sections = sectionsOf(scene, rules.flatMap(({ proposed }) => proposed.roleClaims))
  const plans = rules.map(({ route, proposed }) => write(route, proposed, scene))
  const paths = byPath(plans, scene)
  const isLost = (plan: RoutePlan) => plan.written === 'plugin' && !Object.hasOwn(paths, urlOf(plan))
  const routes = plans.map((plan): RoutePlan => isLost(plan) ? { ...plan, written: 'none' } : plan)
  removeByHand(scene)
  removeRegistrations(scene)
  tellRest(scene)
  const options = { ...sections, ...(Object.keys(paths).length > 0 && { authorization: { routes: paths } }) }
  sources.put(layout.file, pluginFile(options, layout.style, tokens ? [] : [withoutTokens]))
  return { plugin: layout.file, options, routes, findings: findings.all(), changes: sources.changes() }
}

function sceneOf (stock: Stock, appFile: string): Scene {
  const sources = new Sources()
  const layout = layoutOf(stock, appFile, sources)
  for (const { place } of [...stock.registrations, ...stock.routes, ...stock.decorators]) sources.get(place?.file)
  const guards = stock.routes.flatMap(({ own, instance }) => [...own, ...instance])
  return {
    stock,
    sources,
    findings: new Findings(),
    layout,
    signs: signs(sources.all()),
    tokens: tokenPlugins(stock).length > 0 || guards.some(verifies)
  }
}

function verifies ({ code }: Guard): boolean {
  return tokensOf(`(${code})`).some(token => is(token, 'jwtVerify'))
}

/** Whether the application signs tokens: `reply.jwtSign()`, `app.jwt.sign()`. */
function signs (sources: readonly Source[]): boolean {
  return sources.some(({ tokens }) => tokens.some((token, index) => is(token, 'jwtSign') ||
    (is(token, 'jwt') && is(tokens[index + 1], '.') && is(tokens[index + 2], 'sign'))))
}

function propose (route: StockRoute, { sources, tokens }: Scene): ProposedRule {
  const call = callOf(route, sources)
  return proposeRule(route, { tokens, written: phase => call === undefined ? [] : hookSpans(call, phase) })
}

/** Writes the rule where the route is declared, if that is safe. */
function write (route: StockRoute, proposed: ProposedRule, scene: Scene): RoutePlan {
  const { findings, tokens } = scene
  const { rule, look } = proposed
  const [name, { place }] = [nameOf(route), route]
  const plan = { route: name, rule, ...(place && { place }) }
  for (const text of look) findings.tell('look', text, place, name)
  const limit = checkLimit(route, scene)
  if (rule === '' && !limit) return { ...plan, written: 'none' }
  if (writeAt(route, proposed, scene)) return { ...plan, written: 'route' }
  if (limit) findings.tell('must', 'change `config.rateLimit` by hand: `max` is `limit`, and `timeWindow` is `window`', place, name)
  return { ...plan, written: tokens && rule !== '' ? 'plugin' : 'none' }
}

function writeAt (route: StockRoute, { rule, replaced }: ProposedRule, { stock, sources }: Scene): boolean {
  const [call, { place }] = [callOf(route, sources), route]
  const others = stock.routes.filter(other => samePlace(other.place, place) && !isImplied(other, stock.routes))
  if (call === undefined || place === undefined || others.length > 1) return false
  const url = route.url.slice(route.prefix.length)
  const text = sources.get(place.file)?.text ?? ''
  for (const written of url === '' ? ['', '/'] : [url]) {
    const edits = routeEdits(text, call, { rule, handler: route.handler, config: route.config, replaced, url: written })
    if (edits !== undefined) return sources.edit(place.file, edits)
  }
  return false
}

/** Whether the route has a limit in the words of @fastify/rate-limit. */
function checkLimit (route: StockRoute, { findings }: Scene): boolean {
  if (route.rateLimit === undefined || route.rateLimit === false) return false
  const { max, timeWindow } = optionsOf(route.rateLimit)
  if (limitOf(max, timeWindow) === undefined) {
    findings.tell('must', 'its limit has no counterpart: write `config.rateLimit` anew', route.place, nameOf(route))
  }
  return true
}

function urlOf ({ route }: Pick<RoutePlan, 'route'>): string {
  return route.slice(route.indexOf(' ') + 1)
}

/** Routes that others declare, or whose call cannot be edited. Methods that differ get no rule: their path is closed. */
function byPath (plans: readonly RoutePlan[], { stock: { routes }, findings }: Scene): Record<string, Value> {
  const rules: Record<string, Value> = {}
  const differ = new Set<string>()
  for (const { route, rule, written, place } of plans) {
    if (written !== 'plugin') continue
    const url = urlOf({ route })
    const value = { $code: `{ ${rule} }`, sample: '' }
    const known = rules[url]
    if (known !== undefined && JSON.stringify(known) !== JSON.stringify(value)) {
      findings.tell('must', oneRule, place, route)
      differ.add(url)
    } else rules[url] = value
    if (routes.some(other => other.url === `${url}/` && isTwin(other, routes))) rules[`${url}/`] = value
  }
  return Object.fromEntries(Object.entries(rules).filter(([url]) => !differ.has(url) && !differ.has(url.replace(/\/$/, ''))))
}

const oneRule = 'a rule by path is one for all methods, and they differ here: write the rule at the route, which is closed without one'
