import type { TSchema } from '@sinclair/typebox'
import { check } from './check.ts'
import type { Environment } from './environment.ts'
import { ownOptions } from './own.ts'
import { Problems } from './problems.ts'

/** What a section may know of the application that its options are for. */
export interface SectionContext {
  readonly environment: Environment
  /** Whether a request can have come over TLS. */
  readonly secure: boolean
  /** In front of the paths of this scope's routes. */
  readonly prefix: string
}

export interface SectionParts<Options extends object, Compiled> {
  /** Its name in the options of the suite, and in messages. */
  readonly key: string
  readonly schema: TSchema
  /** What has to be loaded before the rules can be asked. */
  prepare? (options: Options): Promise<void>
  /** What the schema cannot say. Asked when the schema has found nothing, unless `always` is set. */
  rules? (options: Options, path: string, problems: Problems, context: SectionContext): void
  /** The rules bear values of a wrong type, and are asked beside the schema. */
  readonly always?: true
  /** Options without mistakes as the plugin uses them. */
  compile (options: Options, context: SectionContext): Compiled
}

export interface Section<Options extends object = object, Compiled = unknown> {
  readonly key: string
  readonly schema: TSchema
  /** Reports every mistake. */
  check (options: Options, problems: Problems, context: SectionContext): Promise<void>
  /** Checks and compiles; throws a ConfigurationError that tells all mistakes. */
  open (given: Options, context: SectionContext): Promise<{ readonly options: Options, readonly compiled: Compiled }>
}

/**
 * A section of the options: how it is checked, and what its plugin makes of it. The suite checks all of them before any is opened.
 *
 * @example
 * const maintenance = defineSection({ key: 'maintenance', schema: MaintenanceSchema, compile: ({ until }) => new Date(until) })
 */
export function defineSection<Options extends object, Compiled> (parts: SectionParts<Options, Compiled>): Section<Options, Compiled> {
  const { key, schema, rules, always = false } = parts
  const section: Section<Options, Compiled> = {
    key,
    schema,
    async check (options, problems, context) {
      await parts.prepare?.(options)
      const isSound = problems.clean(found => check(schema, options, key, found))
      if (isSound || always) rules?.(options, key, problems, context)
    },
    async open (given, context) {
      const options = ownOptions(schema, given)
      const problems = new Problems()
      await section.check(options, problems, context)
      problems.throwIfAny()
      return { options, compiled: parts.compile(options, context) }
    }
  }
  return Object.freeze(section)
}
