import { dirname, join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { AggregationTemporality, InMemoryMetricExporter, MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import type { Test } from 'tap'
import secureApi, { type AuditEvent, type SecureApiOptions } from '../../plugins/index.ts'
import { compiled } from '../cli/compiled.ts'
import { runRecipe } from './recipes.ts'
import { runbookPage, runShell, type Ended, type Heading, type Place, type RunbookPage } from './runbook.ts'
import { codeOf, startFastify } from './server.ts'

type Answer = Parameters<typeof codeOf>[0]
type Line = Readonly<Record<string, unknown>>
type Attributes = Readonly<Record<string, unknown>>
interface Point { readonly attributes: Attributes, readonly value: unknown }

export interface Instance {
  readonly app: FastifyInstance
  /** What it has logged. */
  readonly lines: Line[]
  /** The audit trail, unless it goes elsewhere. */
  readonly events: AuditEvent[]
  /** Values of a metric: numbers, and of a histogram how often. */
  metric (name: string, attributes?: Attributes): Promise<number[]>
}

/** Something that a page says under a heading, seen on a running instance. */
export interface Look {
  log (name: string, rest?: object): void
  /** @param expected a value, or what holds for it */
  status (path: string, expected: unknown): void
  metric (name: string, holds: (value: number) => boolean, attributes?: Attributes): Promise<void>
  audit (name: string, rest?: object): void
  answer (code: string, answer: Answer): void
  /** A line that a command of the page printed. */
  report (name: string, output: string): void
}

/** Follows a page of the runbook: runs its blocks, and sees each of its signs. */
export class Rehearsal {
  readonly page: RunbookPage
  readonly #t: Test
  readonly #names: Readonly<Record<string, string>>
  #command: string | undefined

  /** @param names what stands on the page, and what it is in the test: the provider's address, for one */
  constructor (t: Test, page: string, names: Readonly<Record<string, string>> = {}) {
    this.#t = t
    this.page = runbookPage(page)
    this.#names = names
  }

  /** An application as an operator sees it: with a log, a trail, a status and metrics. */
  async start (suite: SecureApiOptions, { routes, fastify = {} }: {
    readonly routes: (app: FastifyInstance) => void
    readonly fastify?: FastifyServerOptions
  }): Promise<Instance> {
    const [lines, events]: [Line[], AuditEvent[]] = [[], []]
    const logger = { level: 'info', stream: { write: (line: string) => { lines.push(JSON.parse(line)) } } }
    const { provider, metric } = meter()
    const app = startFastify(this.#t, { ...fastify, logger } as object)
    await app.register(secureApi, {
      environment: 'development',
      audit: { sink: event => { events.push(event) } },
      telemetry: { metrics: provider },
      ...suite
    })
    routes(app)
    await app.ready()
    return { app, lines, events, metric }
  }

  /** Looks at instances, and compares what was seen with the rows under the heading: all of them, and no other. */
  async see (heading: Heading, look: (at: (instance: Instance) => Look) => Promise<void>): Promise<void> {
    const seen = new Set<string>()
    await look(instance => this.#look(instance, (place, name) => { seen.add(`${place} ${name}`) }))
    const rows = this.page.signs(heading).filter(({ place }) => place !== 'alert').map(({ place, name }) => `${place} ${name}`)
    this.#t.strictSame([...seen].sort(), [...new Set(rows)].sort(), `${this.page.path}: ${heading}`)
  }

  /** Runs a TypeScript block under *Do*, with what it declares. */
  async run (index: number, values: Readonly<Record<string, unknown>>, app: FastifyInstance): Promise<void> {
    await runRecipe(this.#block(index, 'ts'), { app, suite: options => options, values })
  }

  /** The folder of the compiled suite, for an application that a command of the page loads. */
  get compiled (): string {
    this.#command ??= join(compiled(this.#t), 'cli/main.js')
    return dirname(dirname(this.#command))
  }

  /** Runs a shell block as it stands. */
  async shell (index: number, cwd: string, env: Readonly<Record<string, string>> = {}, heading: Heading = 'Do'): Promise<Ended> {
    const command = join(this.compiled, 'cli/main.js')
    return await runShell(this.#block(index, 'sh', heading), { cwd, command, env })
  }

  #block (index: number, language: string, heading: Heading = 'Do'): string {
    const block = this.page.blocks(heading).filter(one => one.language === language)[index]
    if (block === undefined) throw new Error(`${this.page.path} has no ${language} block ${index} under ${heading}`)
    return Object.entries(this.#names).reduce((code, [name, real]) => code.replaceAll(name, real), block.code)
  }

  #look ({ app, lines, events, metric }: Instance, noted: (place: Place, name: string) => void): Look {
    const t = this.#t
    return {
      log (name, rest = {}) {
        noted('log', name)
        const found = lines.filter(({ type, code, msg }) => [type, code].includes(name) || String(msg).startsWith(`secure-api: ${name}`))
        t.has(likest(found, rest), rest, `log: ${name}`)
      },
      status (path, expected) {
        noted('status', `status().${path}`)
        const values = valuesAt(app.secureApi.status(), path.split('.'))
        const holds = typeof expected === 'function' ? expected : (value: unknown) => value === expected
        t.ok(values.some(value => holds(value)), `status: ${path} is ${JSON.stringify(values)}`)
      },
      async metric (name, holds, attributes = {}) {
        noted('metric', name)
        const values = await metric(name, attributes)
        t.ok(values.some(holds), `metric: ${name} is ${JSON.stringify(values)}`)
      },
      audit (name, rest = {}) {
        noted('audit', name)
        t.has(likest(events.filter(({ event }) => event === name), rest), { event: name, ...rest }, `audit: ${name}`)
      },
      answer (code, answer) {
        noted('answer', code)
        t.equal(codeOf(answer), code)
      },
      report (name, output) {
        noted('report', name)
        t.match(output, name)
      }
    }
  }
}

/**
 * The latest that holds what is wanted, or else the latest, to be shown. Lines of one code come in an order that depends on
 * the machine's speed: the warnings of two certificates, for one.
 */
export function likest <One> (found: readonly One[], wanted: object): One | undefined {
  return found.findLast(one => holds(one, wanted)) ?? found.at(-1)
}

/** A list must be the same; an object may say more. */
function holds (found: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted) || Object(wanted) !== wanted) return isDeepStrictEqual(found, wanted)
  return Object.entries(Object(wanted)).every(([name, value]) => holds(Object(found)[name], value))
}

/** `issuers[].state`: of each element. */
function valuesAt (part: unknown, [name, ...rest]: readonly string[]): unknown[] {
  if (name === undefined) return [part]
  const value: unknown = Object(part)[name.replace('[]', '')]
  return name.endsWith('[]') ? (Array.isArray(value) ? value : []).flatMap(one => valuesAt(one, rest)) : valuesAt(value, rest)
}

/** The SDK of OpenTelemetry, read when it is asked. */
function meter () {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 1_000_000 })
  const matches = (wanted: Attributes, given: Attributes) => Object.entries(wanted).every(([name, value]) => given[name] === value)
  return {
    provider: new MeterProvider({ readers: [reader] }),
    async metric (name: string, attributes: Attributes = {}): Promise<number[]> {
      exporter.reset()
      await reader.forceFlush()
      const all = exporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics))
      return all.filter(({ descriptor }) => descriptor.name === name).flatMap(({ dataPoints }): Point[] => dataPoints)
        .filter(point => matches(attributes, point.attributes))
        .map(({ value }) => typeof value === 'number' ? value : Number(Object(value).count))
    }
  }
}
