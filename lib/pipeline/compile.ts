import type { Problems } from '../config/index.ts'
import { refusal } from '../http/index.ts'
import { checkKeys } from './misspelt.ts'
import { readOptions, type OwnOptions, type RouteOption } from './option.ts'
import { phaseOrder } from './phases.ts'
import type { RouteInfo } from './route-info.ts'
import type { CompiledRoute, CompiledStep, Control } from './types.ts'

type Named = readonly [name: string, step: CompiledStep]

const misconfigured = refusal('SECURE_API_FORBIDDEN', { reason: 'route-misconfigured' })

/** For a route whose own options are wrong and that was first seen by a request: nobody passes. */
const closed: Named = ['closed', { hook: 'onRequest', handler: () => misconfigured }]

/** Compiles the chain of one route from all controls, which come in the order of the phases. */
export function compileRoute (info: RouteInfo, controls: readonly Control[], problems: Problems): CompiledRoute {
  const options = controls.flatMap(({ option }) => option ?? [])
  let own: OwnOptions = new Map()
  const isSound = problems.clean(found => {
    checkKeys(info, keysOf(options), found)
    own = readOptions(info, options, found)
  })
  const chain = controls.flatMap((control): Named[] => {
    const step = control.compile({ route: info, own: control.option && own.get(control.option) })
    return step === undefined ? [] : [[control.name, step]]
  })
  return assemble(info, own, isSound ? chain : [...chain, closed])
}

/** As {@link compileRoute}, while a request waits: what would stop the boot there must not become an answer that tells of it. */
export function compileOrClose (info: RouteInfo, controls: readonly Control[], problems: Problems): CompiledRoute {
  try {
    return compileRoute(info, controls, problems)
  } catch (error) {
    problems.add('SECURE_API_OPTION_VALUE', info.label, `its options cannot be read: ${String(error)}`, 'Correct its `config`.')
    return assemble(info, new Map(), [closed])
  }
}

export function keysOf (options: readonly RouteOption[]): string[] {
  return options.flatMap(({ schemas }) => Object.keys(schemas))
}

export function inOrder (controls: readonly Control[]): Control[] {
  return [...controls].sort((a, b) => phaseOrder(a.phase) - phaseOrder(b.phase))
}

function assemble (info: RouteInfo, own: OwnOptions, chain: readonly Named[]): CompiledRoute {
  const of = (...hooks: CompiledStep['hook'][]) => hooks.flatMap(hook => chain.filter(([, step]) => step.hook === hook))
  const [onRequest, preHandler] = [of('begin', 'onRequest'), of('preHandler')]
  const handlers = (steps: readonly Named[]) => Object.freeze(steps.map(([, step]) => step.handler))
  const names = (steps: readonly Named[]) => Object.freeze(steps.map(([name]) => name))
  return Object.freeze({
    info,
    own,
    onRequest: handlers(onRequest),
    preHandler: handlers(preHandler),
    names: Object.freeze({ onRequest: names(onRequest), preHandler: names(preHandler) })
  })
}
