import type { Problems } from '../config/index.ts'
import { refusal } from '../http/index.ts'
import { checkKeys, keysOf, readOptions, type OwnOptions } from './option.ts'
import type { RouteInfo } from './route-info.ts'
import type { CompiledRoute, CompiledStep, Control, Measure } from './types.ts'

type Named = readonly [name: string, step: CompiledStep]

const misconfigured = refusal('SECURE_API_FORBIDDEN', { reason: 'route-misconfigured' })

/** For a route whose own options are wrong and that was first seen by a request: nobody passes. */
const closed: Named = ['closed', { hook: 'onRequest', handler: () => misconfigured }]

/** `controls` come in the order of the phases. A mistake closes the route: the request that waits must not be told what stops a boot. */
export function compileRoute (info: RouteInfo, controls: readonly Control[], problems: Problems, measure?: Measure): CompiledRoute {
  const options = controls.flatMap(({ option }) => option ?? [])
  let own: OwnOptions = new Map()
  let chain: readonly Named[] = []
  const isSound = problems.clean(found => {
    checkKeys(info, keysOf(options), found)
    own = readOptions(info, options, found)
    chain = controls.flatMap(control => stepOf(control, info, own, found, measure))
  })
  return assemble(info, own, isSound ? chain : [...chain, closed])
}

/** For a route whose options are not what its application stated. */
export function closeRoute (route: CompiledRoute): CompiledRoute {
  const [name, { handler }] = closed
  const { onRequest, preHandler } = route.names
  const names = Object.freeze({ onRequest: Object.freeze([...onRequest, name]), preHandler })
  return Object.freeze({ ...route, onRequest: Object.freeze([...route.onRequest, handler]), names })
}

/** A step that cannot run would guard nothing. At `begin` there are no headers yet, so nothing answers there: the trail alone looks on. */
function stepOf (control: Control, route: RouteInfo, own: OwnOptions, problems: Problems, measure?: Measure): Named[] {
  const { name, phase, option } = control
  // Its option could not be parsed, and that has been reported.
  if (option && !own.has(option)) return []
  const report = (why: string) => problems.add('SECURE_API_CONTROL_STEP', `control ${name}: ${route.label}`, why,
    'Return `{ hook, handler }` from `compile`, with `onRequest` or `preHandler` as the hook, or undefined; not a promise.')
  try {
    const step: unknown = control.compile({ route, own: option && own.get(option) })
    if (step === undefined) return []
    if (isStep(step) && step.hook !== 'begin') return [[name, measure ? { ...step, handler: measure(step.handler, phase, name) } : step]]
    if (isStep(step) && phase === 'audit') return [[name, step]]
    report('`compile` returned something that is no step')
  } catch (error) {
    report(`\`compile\` failed: ${String(error)}`)
  }
  return []
}

const hooks: ReadonlySet<unknown> = new Set<CompiledStep['hook']>(['begin', 'onRequest', 'preHandler'])

function isStep (value: unknown): value is CompiledStep {
  return typeof value === 'object' && value !== null && 'hook' in value && hooks.has(value.hook) &&
    'handler' in value && typeof value.handler === 'function'
}

function assemble (info: RouteInfo, own: OwnOptions, chain: readonly Named[]): CompiledRoute {
  const at = (hook: CompiledStep['hook']) => chain.filter(([, step]) => step.hook === hook)
  const [onRequest, preHandler] = [[...at('begin'), ...at('onRequest')], at('preHandler')]
  const handlers = (steps: readonly Named[]) => Object.freeze(steps.map(([, step]) => step.handler))
  const names = (steps: readonly Named[]) => Object.freeze(steps.map(([name]) => name))
  const named = Object.freeze({ onRequest: names(onRequest), preHandler: names(preHandler) })
  return Object.freeze({ info, own, onRequest: handlers(onRequest), preHandler: handlers(preHandler), names: named })
}
