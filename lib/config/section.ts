import { check } from './check.ts'
import type { Environment } from './environment.ts'
import { ownOptions } from './own.ts'
import { Problems } from './problems.ts'
import type { Schema } from './schema.ts'

/** Reads the secrets that options name, and puts them in their place. Reports those that cannot be used. */
export interface SecretReader {
  read (schema: Schema, options: object, path: string, problems: Problems, environment: Environment): Promise<void>
}

/** What a section knows of the application. */
export interface SectionContext {
  readonly environment: Environment
  /** Whether a request can have come over TLS. */
  readonly secure: boolean
  /** The prefix of this scope's routes. */
  readonly prefix: string
  /** Whether the application has a logger. */
  readonly logs: boolean
  readonly secrets?: SecretReader
}

export interface SectionParts<Options extends object, Compiled> {
  /** Its name in the options of the suite, and in messages. */
  readonly key: string
  readonly schema: Schema
  /** Loads what the rules need. */
  prepare? (options: Options): Promise<void>
  /** Checks beyond the schema. Run when the schema finds nothing, unless `always` is set. */
  rules? (options: Options, path: string, problems: Problems, context: SectionContext): void
  /** The rules tolerate values of a wrong type and always run. */
  readonly always?: true
  /** Turns valid options into what the plugin uses. */
  compile (options: Options, context: SectionContext): Compiled
}

export interface Section<Options extends object = object, Compiled = unknown>
  extends Pick<SectionParts<object, unknown>, 'key' | 'schema'> {
  /** Reports every mistake. */
  check (options: Options, problems: Problems, context: SectionContext): Promise<void>
  /** Checks and compiles; throws a ConfigurationError with all mistakes. */
  open (given: Options, context: SectionContext): Promise<{ readonly options: Options, readonly compiled: Compiled }>
}

/**
 * A section of the options: how to check and compile it. The suite checks all sections before it opens any.
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
      await context.secrets?.read(schema, options, key, problems, context.environment)
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
