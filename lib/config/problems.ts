import { inspect } from 'node:util'
import type { ConfigurationCode } from './codes.ts'
import { linked } from './documentation.ts'

/** One mistake in the configuration. */
export interface Problem {
  /** Stable: assert on this, never on the text. */
  readonly code: ConfigurationCode
  /** Where it is: `cors.origins[1]`, or `route GET /orders: config.scope`. */
  readonly path: string
  /** What is wrong, and why it matters. */
  readonly why: string
  /** What to write instead. */
  readonly fix: string
}

/** A single mistake as an error: an entry of {@link ConfigurationError.errors}. */
export class ProblemError extends Error {
  readonly code: ConfigurationCode
  readonly path: string
  readonly fix: string

  constructor ({ code, path, why, fix }: Problem) {
    super(linked(`${path}: ${why}. ${fix}`, code))
    this.name = 'ProblemError'
    this.code = code
    this.path = path
    this.fix = fix
    printAs(this, code)
  }

  [inspect.custom] (): string {
    return `${this.code} ${this.message}`
  }
}

/**
 * Thrown once. Its `code` is that of the only mistake, or `SECURE_API_CONFIGURATION` when there are several; `errors` holds each of them.
 *
 * @example
 * app.ready().catch(error => error.errors?.forEach(({ code, path }) => console.error(code, path)))
 */
export class ConfigurationError extends AggregateError {
  readonly code: ConfigurationCode | 'SECURE_API_CONFIGURATION'
  declare errors: ProblemError[]

  constructor (problems: readonly Problem[]) {
    const errors = distinct(problems).map(problem => new ProblemError(problem))
    super(errors, summary(errors))
    this.name = 'ConfigurationError'
    this.code = errors.length === 1 && errors[0] !== undefined ? errors[0].code : 'SECURE_API_CONFIGURATION'
    printAs(this, `${this.name}: ${this.message}`)
    // What ends a process is printed without the method below: of a getter Node shows the name only.
    Object.defineProperty(this, 'errors', { get: () => errors })
  }

  /** Node would list `errors` below the message, which has each of them. */
  [inspect.custom] (): string {
    return `${this.name}: ${this.message}`
  }
}

/**
 * Node prints the stack and every member of what ends a process, and of each of its `errors`. The frames are those of the start of
 * plugins and lead nowhere, and the message of the whole has each mistake already: without both, a crash fits a screen.
 */
function printAs (error: ProblemError | ConfigurationError, text: string): void {
  for (const name of Object.keys(error)) Object.defineProperty(error, name, { enumerable: false })
  Object.defineProperty(error, 'stack', { value: text, writable: true, configurable: true, enumerable: false })
}

/** A route is checked when it is declared and again when everything is ready, and its HEAD with it. */
function distinct (problems: readonly Problem[]): Problem[] {
  return [...new Map(problems.map(problem => [JSON.stringify([problem.code, problem.path, problem.why, problem.fix]), problem])).values()]
}

/** For the one mistake after which nothing else can be checked. */
export function mistake (code: ConfigurationCode, path: string, why: string, fix: string): ConfigurationError {
  return new ConfigurationError([{ code, path, why, fix }])
}

/** Collects mistakes, so that all are reported at once. */
export class Problems {
  readonly #found: Problem[] = []

  add (code: ConfigurationCode, path: string, why: string, fix: string): void {
    this.#found.push({ code, path, why, fix })
  }

  get any (): boolean {
    return this.#found.length > 0
  }

  list (): readonly Problem[] {
    return this.#found
  }

  /** Runs a check and keeps its findings. True if there are none. */
  clean (run: (found: Problems) => void): boolean {
    const found = new Problems()
    run(found)
    this.#found.push(...found.#found)
    return !found.any
  }

  throwIfAny (): void {
    if (this.any) throw new ConfigurationError(this.#found)
  }
}

function summary (errors: readonly ProblemError[]): string {
  const count = errors.length === 1 ? 'a mistake' : `${errors.length} mistakes`
  const lines = errors.map(({ code, message }) => `\n  ${code} ${message}`)
  return `secure-api found ${count} in its configuration and does not start:${lines.join('')}`
}
