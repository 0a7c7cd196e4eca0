import type { Problems } from '../config/index.ts'
import { refusal } from '../http/index.ts'
import { checkKeys } from './misspelt.ts'
import { phaseOrder } from './phases.ts'
import type { CompiledRoute, CompiledStep, RouteInfo, Step } from './types.ts'

const misconfigured = refusal('SECURE_API_FORBIDDEN', { reason: 'route-misconfigured' })

/** For a route whose own options are wrong and that was first seen by a request: nobody passes. */
const closed: CompiledStep = { hook: 'onRequest', handler: () => misconfigured }

/** Compiles the chain of one route from all steps, in the order of the phases. */
export function compileRoute (info: RouteInfo, steps: readonly Step[], problems: Problems): CompiledRoute {
  const before = problems.list().length
  const chain: [string, CompiledStep][] = []
  checkKeys(info, steps.flatMap(({ keys = [] }) => keys), problems)
  for (const step of inOrder(steps)) {
    const compiled = step.compile(info, problems)
    if (compiled !== undefined) chain.push([step.name, compiled])
  }
  if (problems.list().length > before) chain.push(['closed', closed])
  return assemble(info, chain)
}

/** As {@link compileRoute}, while a request waits: what would stop the boot there must not become an answer that tells of it. */
export function compileOrClose (info: RouteInfo, steps: readonly Step[], problems: Problems): CompiledRoute {
  try {
    return compileRoute(info, steps, problems)
  } catch (error) {
    problems.add('SECURE_API_OPTION_VALUE', info.label, `its options cannot be read: ${String(error)}`, 'Correct its `config`.')
    return assemble(info, [['closed', closed]])
  }
}

export function inOrder (steps: readonly Step[]): Step[] {
  return [...steps].sort((a, b) => phaseOrder(a.phase) - phaseOrder(b.phase))
}

function assemble (info: RouteInfo, chain: readonly [string, CompiledStep][]): CompiledRoute {
  const of = (hook: CompiledStep['hook']) => chain.filter(([, step]) => step.hook === hook)
  const handlers = (hook: CompiledStep['hook']) => Object.freeze(of(hook).map(([, step]) => step.handler))
  const names = (hook: CompiledStep['hook']) => Object.freeze(of(hook).map(([name]) => name))
  return Object.freeze({
    info,
    onRequest: handlers('onRequest'),
    preHandler: handlers('preHandler'),
    names: Object.freeze({ onRequest: names('onRequest'), preHandler: names('preHandler') })
  })
}
