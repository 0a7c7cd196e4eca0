import { ConfigurationError, Type, type Problems, type Static } from '../config/index.ts'
import type { MeterProvider, OpenTelemetry } from './api.ts'

export const TelemetryOptionsSchema = Type.Object({
  /**
   * Feeds metrics: `true`, the global provider of `@opentelemetry/api`, which must be set before the suite is registered; or a
   * provider of your own, such as the one for `prom-client` in docs/recipes/prometheus.md. Costs about a tenth of the throughput.
   * @default none
   */
  metrics: Type.Optional(Type.Unsafe<true | MeterProvider>({})),
  /**
   * Notes what became of a request on the active span of `@opentelemetry/api`, and makes spans for exchanges with other servers: key
   * fetches, look-ups of opaque tokens, calls to Redis.
   * @default none
   */
  traces: Type.Optional(Type.Literal(true))
})
export interface TelemetryOptions extends Static<typeof TelemetryOptionsSchema> {}

/** A provider is an instance of a class: its methods are inherited. */
export function checkTelemetry ({ metrics }: TelemetryOptions, path: string, problems: Problems): void {
  if (metrics === undefined || metrics === true || typeof Object(metrics).getMeter === 'function') return
  problems.add('SECURE_API_OPTION_TYPE', `${path}.metrics`, 'it is neither `true` nor a meter provider',
    'Give `true`, or an object with `getMeter`.')
}

export type ImportApi = () => Promise<unknown>

/** Loaded only where an option asks for it. */
export async function openTelemetryApi (
  { metrics, traces }: TelemetryOptions, load: ImportApi = async () => await import('@opentelemetry/api')
): Promise<OpenTelemetry | undefined> {
  if (metrics !== true && traces !== true) return undefined
  try {
    return await load() as OpenTelemetry
  } catch {
    throw new ConfigurationError([{
      code: 'SECURE_API_TELEMETRY_API_MISSING',
      path: metrics === true ? 'telemetry.metrics' : 'telemetry.traces',
      why: '`true` needs the package @opentelemetry/api, which is not installed',
      fix: 'Run `npm install @opentelemetry/api`, give a meter provider of your own, or remove the option.'
    }])
  }
}
