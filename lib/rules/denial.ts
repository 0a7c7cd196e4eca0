import type { FastifyRequest } from 'fastify'
import type { Principal } from '../credentials/index.ts'
import { Marks } from '../marks/index.ts'
import type { Rule } from './options.ts'

/** Why a caller was refused with 403: names only, no claim and no value. */
export interface Denial {
  /** The rule of the route, or of the guard; `'none'` where the route states none and is closed. */
  readonly required: Rule | 'none'
  readonly present: { readonly scopes: readonly string[], readonly roles: readonly string[] }
}

/** A token may carry hundreds of groups, each as long as its issuer likes. */
const mostNames = 20
const longestName = 64

export function denialOf (required: Rule | undefined, { scopes, roles }: Principal): Denial {
  return Object.freeze({ required: required ?? 'none', present: Object.freeze({ scopes: bounded(scopes), roles: bounded(roles) }) })
}

function bounded (names: ReadonlySet<string>): readonly string[] {
  const first = [...names].slice(0, mostNames).map(name => name.length > longestName ? `${name.slice(0, longestName)}…` : name)
  return names.size > mostNames ? [...first, `… and ${names.size - mostNames} more`] : first
}

/** Beside the request, where the audit trail finds it. */
const denials = new Marks<FastifyRequest, Denial>()

export function noteDenial (request: FastifyRequest, denial: Denial): void {
  denials.set(request, denial)
}

export function notedDenial (request: FastifyRequest): Denial | undefined {
  return denials.of(request)
}
