import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { linked } from '../lib/config/index.ts'
import { Marks } from '../lib/marks/index.ts'

/** What an application without a logger has been told, by its server. */
const told = new Marks<FastifyInstance['server'], Set<string>>()

/**
 * Logs what an operator has to know. `Fastify()` without a logger would swallow it: there it is a warning of the process, on
 * stderr, once for each text. A logger of a level above `warn` is the application's choice. The text ends with the page of its code.
 */
export function warn (app: FastifyInstance, about: object, text: string, level: 'warn' | 'error' = 'warn'): void {
  const { code, ...rest }: { code?: unknown } = about
  if (!isAbsent(app.log)) return app.log[level](about, linked(text, code))
  const texts = told.ofOr(app.server, () => new Set())
  if (texts.has(text) || texts.size >= mostTexts) return
  texts.add(text)
  const detail = JSON.stringify(rest, (_, value: unknown) => value instanceof Error ? value.message : value)
  // Node throws at a code that is no text.
  const named = typeof code === 'string' ? code : 'SECURE_API_WARNING'
  process.emitWarning(linked(text, named), { type: 'SecureApiWarning', code: named, ...(detail !== '{}' && { detail }) })
}

/** Some texts hold what a provider answered, which it can change each time. */
const mostTexts = 100

/** abstract-logging, which Fastify uses where it is given no logger: it has no level, and all its methods are one. */
function isAbsent (log: FastifyBaseLogger): boolean {
  return !('level' in log && log.level !== undefined) && log.info === log.warn
}
