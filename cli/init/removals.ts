import type { Place } from '../routes/record.ts'
import { declaring, samePlace } from './declared.ts'
import { exempts, judge } from './guards.ts'
import { onlyChecksToken } from './only-checks.ts'
import { replacedPlugins } from './replaced.ts'
import type { Scene } from './scene.ts'
import { isPackage, type Source } from './sources.ts'
import { statementOf, type CallStatement } from './statement.ts'
import { callAt, tokensOf } from './tokens.ts'
import type { Decorator, Guard } from './types.ts'

const suiteDecorators: ReadonlySet<string> = new Set([
  'app.authenticate', 'app.requireScope', 'app.requireRole', 'app.requirePolicy', 'app.loginGuard', 'app.rateLimits', 'app.rateLimit',
  'app.createRateLimit', 'app.secureApi', 'app.jwt', 'request.auth', 'request.authorize', 'request.user', 'reply.cspNonce'
])

/** Hooks and decorators of which the suite takes the place. */
export function removeByHand (scene: Scene): void {
  const guards = scene.stock.routes.flatMap(({ own, instance }) => [...own, ...instance])
  if (scene.tokens) for (const guard of distinctHooks(guards)) removeHook(guard, scene)
  for (const decorator of scene.stock.decorators) if (suiteDecorators.has(decorator.name)) removeDecorator(decorator, scene)
}

function distinctHooks (guards: readonly Guard[]): readonly Guard[] {
  return guards.filter((guard, index) => guard.place !== undefined &&
    guards.findIndex(other => samePlace(other.place, guard.place) && other.phase === guard.phase) === index)
}

function removeDecorator ({ name, place, code = '' }: Decorator, scene: Scene): void {
  const { tokens, findings } = scene
  if (place === undefined || isPackage(place.file)) return
  if (name !== 'app.authenticate') {
    return findings.tell('must', `remove or rename the decorator \`${name}\` in line ${place.line}: the suite adds one of this name`, place)
  }
  if (!tokens) return
  if (!onlyChecksToken(tokensOf(`(${code})`))) return findings.tell('must', doesMore, place)
  if (remove(place, ['decorate'], scene)) {
    return findings.tell('note', 'the decorator `authenticate` is removed: the suite has one of this name, which checks the token', place)
  }
  findings.tell('must', `remove the decorator \`${name}\` in line ${place.line}: the suite adds one of this name`, place)
}

const doesMore = 'the decorator `authenticate` does more than check the token, and the suite adds one of this name, which does not: ' +
  'rename it here and in every hook that uses it'

function removeHook (guard: Guard, scene: Scene): void {
  const { stock: { routes }, signs, findings } = scene
  const { place } = guard
  if (place === undefined || isPackage(place.file) || !judge(guard).replaced) return
  // A route that it seems to let pass gets `public: true`: as long as the hook stays, a wrong guess opens nothing.
  if (routes.some(({ url }) => exempts(guard, url) !== 'no')) {
    const what = 'this hook chooses by the address of the request'
    return signs
      ? findings.tell('look', `${what}, so it stays; remove it when the rules say all that it does`, place)
      : findings.tell('must', `${what}: state what it does as rules of the routes, then remove it`, place)
  }
  if (!remove(place, ['addHook'], scene)) {
    return findings.tell(signs ? 'look' : 'must', `remove line ${place.line}: the suite checks the token`, place)
  }
  findings.tell('note', `the hook \`${guard.phase}\` is removed: the suite checks the token`, place)
  if (routes.some(({ instance }) => !instance.some(other => samePlace(other.place, place)))) {
    findings.tell('note', 'this hook guarded the routes of its scope: each has its rule now, and a new one there needs its own', place)
  }
}

/** Takes the plugins out, and puts the suite where the first of them was. */
export function removeRegistrations (scene: Scene): void {
  const { stock, sources, findings, layout } = scene
  let placed = layout.autoloaded
  for (const { name, place, autoloaded, root } of stock.registrations.filter(({ name }) => replacedPlugins.includes(name))) {
    if (autoloaded !== undefined) {
      sources.put(autoloaded, undefined)
      continue
    }
    const source = sources.get(place?.file)
    if (place === undefined || source === undefined) continue
    const found = statementAt(source, place, ['register'])
    if (found === undefined) {
      findings.tell('must', `remove line ${place.line}: the suite takes the place of ${name}`, place)
      continue
    }
    if (found.conditional) findings.tell('look', `${name} was registered under a condition; the suite always is`, place)
    // Not in the scope of some routes, nor where it may be left out: the others would be open.
    const takes = !placed && root && !found.conditional
    const text = takes ? layout.registration(found, place.file) : ''
    if (!sources.edit(place.file, [{ start: found.start, end: found.end, text }]) || !takes) continue
    placed = true
    checkAwaited(found, place, scene)
  }
  if (!placed) register(scene)
}

/** No plugin leaves its place: the suite comes before the first thing that the application does. */
function register (scene: Scene): void {
  const { stock, sources, findings, layout } = scene
  const places = [...stock.registrations, ...stock.routes].flatMap(({ place }) => place?.file === layout.appFile ? place : [])
  for (const place of places.sort((a, b) => a.line - b.line)) {
    const source = sources.get(place.file)
    const found = source && statementAt(source, place, ['register', ...declaring])
    if (found === undefined || found.conditional) continue
    const { start } = found
    if (sources.edit(place.file, [{ start, end: start, text: layout.registration(found, place.file) }])) {
      return checkAwaited(found, place, scene)
    }
  }
  const line = layout.registration({ indent: '', awaitable: true, receiver: 'app' }, layout.appFile).trim()
  findings.tell('must', `register the plugin before all routes: ${line}`)
}

/** Routes of the same function are declared before a plugin that is not awaited. */
function checkAwaited ({ awaitable }: CallStatement, place: Place, { stock, findings }: Scene): void {
  if (awaitable || !stock.routes.some(route => route.place?.file === place.file)) return
  findings.tell('must', 'the suite must be ready before a route is declared: make this function async, and `await` the registration', place)
}

function remove (place: Place, names: readonly string[], { sources }: Scene): boolean {
  const source = sources.get(place.file)
  const found = source && statementAt(source, place, names)
  return found !== undefined && sources.edit(place.file, [{ start: found.start, end: found.end, text: '' }])
}

function statementAt (source: Source, place: Place, names: readonly string[]): CallStatement | undefined {
  const call = callAt(source.text, source.tokens, place, new Set(names))
  return call && statementOf(source.text, source.tokens, call)
}
