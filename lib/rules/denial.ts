import type { FastifyRequest } from 'fastify'
import type { Principal } from '../credentials/index.ts'
import { Marks } from '../marks/index.ts'
import type { Rule } from './options.ts'

/** Why a caller was refused with 403: names only, no claims or values. */
export interface Denial {
  /** The rule of the route or guard; `'none'` for a route without a rule, which is closed. */
  readonly required: Rule | 'none'
  readonly present: {
    readonly scopes: readonly string[]
    readonly roles: readonly string[]
    /** Where the rule asks for it. */
    readonly caller?: string
    readonly credential?: string | undefined
  }
}

/** A token may carry hundreds of groups with names of any length. */
const mostNames = 20
const longestName = 64

export function denialOf (required: Rule | undefined, { scopes, roles, kind, credential }: Principal): Denial {
  const present = {
    scopes: bounded(scopes),
    roles: bounded(roles),
    ...(required?.caller !== undefined && { caller: kind }),
    ...(required?.credential !== undefined && { credential })
  }
  return Object.freeze({ required: required ?? 'none', present: Object.freeze(present) })
}

function bounded (names: ReadonlySet<string>): readonly string[] {
  const first = [...names].slice(0, mostNames).map(name => name.length > longestName ? `${name.slice(0, longestName)}…` : name)
  return names.size > mostNames ? [...first, `… and ${names.size - mostNames} more`] : first
}

/** By request, for the audit trail. */
const denials = new Marks<FastifyRequest, Denial>()

export function noteDenial (request: FastifyRequest, denial: Denial): void {
  denials.set(request, denial)
}

export function notedDenial (request: FastifyRequest): Denial | undefined {
  return denials.of(request)
}
