import { onlyChecksToken } from './only-checks.ts'
import { is, stringOf, tokensOf, type Span, type Token } from './tokens.ts'
import type { Guard } from './types.ts'

/** What a hook demands, as far as it can be known. */
export type Demand =
  | { readonly kind: 'authenticated' }
  | { readonly kind: 'role' | 'scope', readonly names: readonly string[], readonly mode: 'all' | 'any', readonly claim?: string }
  /** It refuses, and nobody knows whom. */
  | { readonly kind: 'unknown' }

/** What a hook is called, and how it is written where it is given. */
export interface Judged {
  readonly guard: Guard
  readonly demands: readonly Demand[]
  /** Whether it only checks the token, so that the suite takes its place. */
  readonly replaced: boolean
}

const authentication: ReadonlySet<string> = new Set([
  'authenticate', 'authenticated', 'isauthenticated', 'requireauth', 'requireauthentication', 'verifyjwt', 'verifytoken',
  'requirejwt', 'checkjwt', 'jwtauth', 'jwtverify', 'verifyaccesstoken'
])
const verbs: ReadonlySet<string> = new Set([
  'is', 'has', 'require', 'requires', 'verify', 'ensure', 'check', 'assert', 'only', 'must', 'be', 'role', 'user'
])
const roles: ReadonlySet<string> = new Set(['admin', 'administrator', 'superuser', 'superadmin', 'moderator', 'editor', 'manager', 'owner',
  'operator', 'staff', 'support', 'auditor'])

/** What a hook demands. `written` is the expression that gives it: `verifyRole('admin')` says more than the function that it makes. */
export function judge (guard: Guard, written?: Span): Judged {
  const tokens = tokensOf(`(${guard.code})`)
  if (guard.parts !== undefined) return composed(guard)
  const demands = demandsOf(guard, tokens, written)
  return { guard, demands, replaced: demands.length > 0 && demands.every(({ kind }) => kind === 'authenticated') }
}

function demandsOf (guard: Guard, tokens: readonly Token[], written: Span | undefined): readonly Demand[] {
  const named = written === undefined ? undefined : fromCall(written)
  const claim = claimOf(tokens)
  if (named !== undefined) return [named]
  const role = roleOf(guard.name)
  // A flag such as `user.isAdmin` is no list of roles.
  const isNamed = claim === undefined || tokens.some(token => stringOf(token) === role)
  if (role !== undefined && isNamed) return [{ kind: 'role', names: [role], mode: 'all', ...(claim && { claim }) }]
  if (guard.verifier === true || onlyChecksToken(tokens)) return [{ kind: 'authenticated' }]
  // What it does besides is not known, and would be lost with it.
  if (mentions(tokens, 'jwtVerify')) return [{ kind: 'authenticated' }, { kind: 'unknown' }]
  return authentication.has(guard.name.toLowerCase()) || refuses(tokens) ? [{ kind: 'unknown' }] : []
}

/** `requireScope('a')`, `verifyRole('admin', 'editor')`, `hasRole(['admin'])`: a list means any of it. */
function fromCall ({ tokens }: Span): Demand | undefined {
  const open = tokens.findIndex(token => is(token, '('))
  const path = tokens.slice(0, open)
  const isPath = open > 0 && path.every((token, index) => index % 2 === 0 ? token.type === 'IdentifierName' : is(token, '.'))
  if (!isPath) return undefined
  const name = path.at(-1)?.value.toLowerCase() ?? ''
  const kind = /roles?$/.test(name) ? 'role' : /scopes?$/.test(name) ? 'scope' : undefined
  const inside = tokens.slice(open + 1, -1)
  const names = inside.flatMap(token => stringOf(token) ?? [])
  const isPlain = inside.every(token => stringOf(token) !== undefined || is(token, ',') || is(token, '[') || is(token, ']'))
  if (kind === undefined || names.length === 0 || !isPlain || names.some(name => /\s/.test(name))) return undefined
  return { kind, names, mode: names.length > 1 && kind === 'role' ? 'any' : 'all' }
}

/** `requireAdmin` and `isAdmin` want the role admin. */
function roleOf (name: string): string | undefined {
  const words = name.split(/(?=[A-Z])|_/).map(word => word.toLowerCase())
  const last = words.at(-1) ?? ''
  return roles.has(last) && words.length > 1 && words.slice(0, -1).every(word => verbs.has(word)) ? last : undefined
}

/** The claim in `request.user.role`, where the function looks at one of roles. */
function claimOf (tokens: readonly Token[]): string | undefined {
  const index = tokens.findIndex((token, at) => is(token, 'user') && is(tokens[at - 1], '.') && isDot(tokens[at + 1]))
  return index === -1 ? undefined : tokens[index + 2]?.value
}

function isDot (token: Token | undefined): boolean {
  return is(token, '.') || is(token, '?.')
}

function mentions (tokens: readonly Token[], name: string): boolean {
  return tokens.some(token => token.type === 'IdentifierName' && token.value === name)
}

const refusing: ReadonlySet<string> = new Set(['401', '403', 'unauthorized', 'forbidden', 'throw'])
/** Names of what may refuse: of a function that calls it, nobody can say that it lets everyone pass. */
const guarding = new RegExp('auth|verif|jwt|token|session|role|scope|admin|owner|tenant|csrf|' +
  'permi|forbid|allow|deny|guard|protect|require|ensure|assert', 'i')

function refuses (tokens: readonly Token[]): boolean {
  return tokens.some(({ type, value }, index) => refusing.has(value) || (value === 'Error' && is(tokens[index - 1], 'new')) ||
    (type === 'IdentifierName' && guarding.test(value) && is(tokens[index + 1], '(')) ||
    (value === 'native' && is(tokens[index + 1], 'code')))
}

/** Whether the function looks at the address of the request: it may let some routes pass. */
export function exempts ({ code }: Guard, url: string): 'no' | 'maybe' | 'yes' {
  const tokens = tokensOf(`(${code})`)
  if (tokens.some(token => stringOf(token) === url)) return 'yes'
  return ['url', 'routeOptions', 'originalUrl', 'raw'].some(name => mentions(tokens, name)) ? 'maybe' : 'no'
}

/** All of a list by `relation: 'and'` add up; of `'or'` only what every part demands is known. */
function composed (guard: Guard): Judged {
  const { relation = 'or', guards = [] } = guard.parts ?? {}
  const parts = guards.map(part => judge(part).demands)
  const known = parts.every(demands => demands.length > 0 && demands.every(({ kind }) => kind !== 'unknown'))
  if (!known) return { guard, demands: [{ kind: 'unknown' }], replaced: false }
  if (relation === 'and' || parts.length === 1) {
    const demands = parts.flat()
    return { guard, demands, replaced: demands.every(({ kind }) => kind === 'authenticated') }
  }
  return { guard, demands: either(parts), replaced: false }
}

function either (parts: ReadonlyArray<readonly Demand[]>): readonly Demand[] {
  const single = parts.map(([only, ...more]) => more.length === 0 ? only : undefined)
  const named = single.flatMap(demand => demand !== undefined && 'names' in demand ? [demand] : [])
  const [first] = named
  if (first !== undefined && named.length === parts.length && named.every(({ kind, names }) => kind === first.kind && names.length === 1)) {
    return [{ ...first, names: named.flatMap(({ names }) => names), mode: 'any' }]
  }
  return single.every(demand => demand?.kind === 'authenticated') ? [{ kind: 'authenticated' }] : [{ kind: 'unknown' }]
}
