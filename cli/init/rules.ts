import { judge, exempts, type Demand, type Judged } from './guards.ts'
import { is, tokensOf, type Span } from './tokens.ts'
import type { Guard, StockRoute } from './types.ts'

/** The rule of a route, and how sure it is. */
export interface ProposedRule {
  /** Members of `config`, as JavaScript; empty where the suite guards nothing. */
  readonly rule: string
  /** What a person should look at, and why. */
  readonly look: readonly string[]
  /** Phases of which every hook of the route only checks the token. */
  readonly replaced: readonly string[]
  readonly roleClaims: readonly string[]
}

export interface RuleContext {
  /** Whether the application has tokens that the suite can check. */
  readonly tokens: boolean
  /** The expressions that give the hooks of a phase, in order; empty where they cannot be read. */
  written (phase: string): readonly Span[]
}

/** One rule for a route, from everything that a request meets before its handler. */
export function proposeRule (route: StockRoute, context: RuleContext): ProposedRule {
  const own = route.own.map(guard => judge(guard, writtenOf(guard, route, context)))
  const instance = route.instance.map(guard => judge(guard)).filter(({ demands }) => demands.length > 0)
  const passed = instance.filter(({ guard }) => exempts(guard, route.url) === 'yes')
  const look = instance.filter(({ guard }) => exempts(guard, route.url) === 'maybe')
    .map(({ guard }) => `${called(guard)} looks at the address of the request, so that it may let a route pass`)
  const inHandler: Demand[] = checksInHandler(route) ? [{ kind: 'authenticated' }] : []
  const demands = [...[...instance.filter(judged => !passed.includes(judged)), ...own].flatMap(({ demands }) => demands), ...inHandler]
  const names = [...instance, ...own].filter(refusesOtherwise).map(({ guard }) => called(guard))
  return {
    ...ruleOf(demands, context.tokens, [...look, ...passed.map(({ guard }) => `${called(guard)} lets it pass`),
      ...inHandler.map(() => 'its handler checks the token, perhaps not always: now every call needs one')], names),
    replaced: context.tokens ? replacedPhases(own) : [],
    roleClaims: demands.flatMap(demand => 'claim' in demand && demand.kind === 'role' ? demand.claim ?? [] : [])
  }
}

function checksInHandler ({ code }: StockRoute): boolean {
  return tokensOf(`(${code})`).some(token => is(token, 'jwtVerify'))
}

function refusesOtherwise ({ demands }: Judged): boolean {
  return demands.some(({ kind }) => kind === 'unknown')
}

function called ({ name }: Guard): string {
  return name === '' ? 'a hook without a name' : `the hook \`${name}\``
}

function writtenOf (guard: Guard, route: StockRoute, context: RuleContext): Span | undefined {
  const same = route.own.filter(({ phase }) => phase === guard.phase)
  const spans = context.written(guard.phase)
  return spans.length === same.length ? spans[same.indexOf(guard)] : undefined
}

function ruleOf (demands: readonly Demand[], tokens: boolean, look: readonly string[],
  names: readonly string[]): Pick<ProposedRule, 'rule' | 'look'> {
  const unknown = demands.some(({ kind }) => kind === 'unknown')
  const known = demands.filter(({ kind }) => kind !== 'unknown')
  const refusing = [...new Set(names)].join(' and ')
  const left = unknown ? [`${refusing} refuses callers by rules of its own; it stays, and the suite does not know them`] : []
  if (!tokens) {
    return demands.length > 0
      ? { rule: '', look: [...look, 'its own hooks guard it, not the suite'] }
      : { rule: 'public: true', look: [...look, 'nothing guards it'] }
  }
  if (known.length === 0) return { rule: 'public: true', look: [...look, ...(unknown ? left : ['nothing guards it'])] }
  const { rule, lists } = written(known)
  return { rule, look: [...look, ...left, ...lists.map(leftTo)] }
}

type Named = Extract<Demand, { readonly names: readonly string[] }>

/** A rule is all of a list or any of one, not both: what it cannot say, in `lists`, is left to its hook, for the rule to be no stricter. */
function written (demands: readonly Demand[]): { rule: string, lists: readonly Named[] } {
  const parts = (['scope', 'role'] as const).map(kind => requirement(kind, demands.flatMap(demand => demand.kind === kind ? [demand] : [])))
  const rule = parts.map(({ text }) => text).filter(text => text !== '').join(', ')
  return { rule: rule === '' ? 'authenticated: true' : rule, lists: parts.flatMap(({ lists }) => lists) }
}

function requirement (kind: 'scope' | 'role', demands: readonly Named[]): { text: string, lists: readonly Named[] } {
  const all = [...new Set(demands.filter(demand => !isList(demand)).flatMap(({ names }) => names))]
  const [list, ...more] = demands.filter(isList)
  if (all.length > 0) {
    return { text: `${kind}: ${all.length === 1 ? quoted(all[0] ?? '') : listed('all', all)}`, lists: demands.filter(isList) }
  }
  return list === undefined ? { text: '', lists: [] } : { text: `${kind}: ${listed('any', list.names)}`, lists: more }
}

/** Whether one of several names is enough. */
function isList ({ mode, names }: Named): boolean {
  return mode === 'any' && names.length > 1
}

function listed (mode: 'all' | 'any', names: readonly string[]): string {
  return `{ ${mode}: [${names.map(quoted).join(', ')}] }`
}

function leftTo ({ kind, names }: Named): string {
  return `a hook of it wants any ${kind} of ${names.join(', ')} besides: one rule cannot say both, so keep that hook`
}

/** As people write texts in JavaScript. */
export function quoted (text: string): string {
  return /^[^'\\\p{Cc}\u2028\u2029]*$/u.test(text) ? `'${text}'` : JSON.stringify(text)
}

function replacedPhases (own: readonly Judged[]): readonly string[] {
  const phases = [...new Set(own.map(({ guard }) => guard.phase))]
  return phases.filter(phase => own.filter(({ guard }) => guard.phase === phase).every(({ replaced }) => replaced))
}
