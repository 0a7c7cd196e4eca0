import { ownOptions, Problems, Type, unsupportedIn } from '../lib/config/index.ts'
import { phases, type Control, type RouteOption } from '../lib/pipeline/index.ts'
import type { Frame } from './ports.ts'

/** At the edge no control of the application has a part, and the audit trail is the last. */
const open = phases.filter(phase => phase !== 'edge' && phase !== 'audit')

const OwnControlSchema = Type.Object({
  name: Type.String(),
  phase: Type.Union(open.map(phase => Type.Literal(phase))),
  option: Type.Optional(Type.Unsafe({})),
  compile: Type.Function(),
  posture: Type.Optional(Type.Function())
})

export const OwnControlsSchema = Type.Array(OwnControlSchema)

/** Fastify writes these into every `config`; the third is no key of an object. */
const reserved = ['url', 'method', '__proto__']

/** Adds controls of the application's own, when those of the suite are there: their names and route options are taken. */
export function addOwnControls (frame: Frame, controls: readonly Control[]): void {
  const problems = new Problems()
  const owners = new Map<string, unknown>([...frame.keys, ...reserved].map(key => [key, 'suite']))
  for (const [index, { option }] of controls.entries()) checkOption(option, `controls[${index}].option`, owners, problems)
  problems.throwIfAny()
  for (const control of controls) frame.add(bound(control))
}

function checkOption (option: unknown, path: string, owners: Map<string, unknown>, problems: Problems): void {
  if (option === undefined) return
  if (!isOption(option)) {
    return problems.add('SECURE_API_OPTION_TYPE', path, 'it is no route option', 'Make it with `routeOption({ key, schema, refine })`.')
  }
  for (const [key, schema] of Object.entries(option.schemas)) {
    const unsupported = unsupportedIn(schema)
    if (unsupported !== undefined) {
      problems.add('SECURE_API_OPTION_VALUE', path, `the schema of \`${key}\` has ${unsupported}, which is not checked`,
        'Leave it out, and check it in `refine`.')
    }
    const owner: unknown = owners.get(key) ?? option
    owners.set(key, owner)
    if (owner === option) continue
    problems.add('SECURE_API_OPTION_CONFLICT', path,
      `the route option \`${key}\` belongs to ${owner === 'suite' ? 'the suite' : 'another control'}`, 'Choose another key.')
  }
}

function isOption (option: unknown): option is RouteOption {
  if (typeof option !== 'object' || option === null) return false
  const { schemas, parse } = option as Partial<RouteOption>
  return typeof schemas === 'object' && schemas !== null && typeof parse === 'function'
}

/** Instances of classes keep their `this`, private members too. What somebody put on `Object.prototype` is no part of a control. */
function bound (control: Control): Control {
  const { name, phase, option, compile, posture } = ownOptions(OwnControlSchema, control)
  return Object.freeze<Control>({
    name,
    phase,
    compile: given => compile.call(control, given),
    ...(option && { option }),
    ...(posture && {
      posture: (own, route) => Object.fromEntries(Object.entries(posture.call(control, own, route)).filter(([key]) => !ours.includes(key)))
    })
  })
}

/** What the suite tells of a route, which no control of the application can say otherwise. */
const ours = ['methods', 'url', 'steps', 'access', 'accessByDefault', 'authentication', 'sameOrigin', 'source', 'rateLimit', 'cors',
  'corsApplication', 'headers', 'audit']
