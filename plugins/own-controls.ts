import { Type } from '@sinclair/typebox'
import { Problems } from '../lib/config/index.ts'
import { phases, type Control } from '../lib/pipeline/index.ts'
import type { Frame } from './ports.ts'

/** At the edge no control of the application has a part, and the audit trail is the last. */
const open = phases.filter(phase => phase !== 'edge' && phase !== 'audit')

export const OwnControlsSchema = Type.Array(Type.Object({
  name: Type.String({ minLength: 1 }),
  phase: Type.Union(open.map(phase => Type.Literal(phase))),
  option: Type.Optional(Type.Unsafe({})),
  compile: Type.Function([], Type.Any()),
  posture: Type.Optional(Type.Function([], Type.Any()))
}, { additionalProperties: false }))

/** Adds controls of the application's own, when those of the suite are there: their names and route options are taken. */
export function addOwnControls (frame: Frame, controls: readonly Control[]): void {
  const problems = new Problems()
  for (const [index, { option }] of controls.entries()) {
    for (const key of Object.keys(option?.schemas ?? {}).filter(key => frame.keys.includes(key))) {
      problems.add('SECURE_API_OPTION_CONFLICT', `controls[${index}].option`, `the route option \`${key}\` belongs to the suite`,
        'Choose another key.')
    }
  }
  problems.throwIfAny()
  for (const control of controls) frame.add(control)
}
