import { isImplied, nameOf } from './declared.ts'
import type { Scene } from './scene.ts'
import { isPackage } from './sources.ts'
import { is, tokensOf } from './tokens.ts'

/** What goes on in the application although the plugin behind it has gone, and what init cannot see. */
export function tellRest (scene: Scene): void {
  const { stock: { routes, routeHooks }, findings } = scene
  for (const route of routes) {
    if (route.helmet && !isImplied(route, routes)) findings.tell('look', ownHeaders, route.place, nameOf(route))
  }
  for (const place of routeHooks) {
    if (place !== undefined && !isPackage(place.file)) findings.tell('look', addsHooks, place)
  }
  if (scene.tokens && !scene.signs) tellCalls(scene)
}

const ownHeaders = '`helmet` of the route is not carried over: its headers are those of all routes, which `config.headers` changes'
const addsHooks = 'this onRoute hook may add guards to routes, which are not among the rules: compare them'

const gone = '`request.jwtVerify()` is not there any more, so that this fails: the rule of the route checks the token, and ' +
  '`request.auth` says whom it stands for'

/** Only with tokens of the application's own the suite has the methods of @fastify/jwt. */
function tellCalls ({ sources, findings }: Scene): void {
  for (const { file, after } of sources.results()) {
    for (const { start } of tokensOf(after).filter(token => is(token, 'jwtVerify') || is(token, 'jwtDecode'))) {
      findings.tell('must', gone, { file, line: after.slice(0, start).split('\n').length })
    }
  }
}
