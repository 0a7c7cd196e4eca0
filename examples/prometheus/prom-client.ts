import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { instruments, type Instrument, type MeterProvider } from '../../plugins/index.ts'

type Meter = ReturnType<MeterProvider['getMeter']>
type Attributes = Parameters<ReturnType<Meter['createHistogram']>['record']>[1]
type Callback = Parameters<ReturnType<Meter['createObservableGauge']>['addCallback']>[0]

const units: Readonly<Record<string, string>> = { s: '_seconds', By: '_bytes', d: '_days' }
const sound = (name: string) => name.replaceAll('.', '_')

/** As OpenTelemetry prescribes for Prometheus: `secure_api.phase.duration` in seconds is `secure_api_phase_duration_seconds`. */
export function prometheusName ({ name, kind, unit }: Pick<Instrument, 'name' | 'kind' | 'unit'>): string {
  return sound(name) + (units[unit] ?? '') + (kind === 'observable-counter' ? '_total' : '')
}

/** A meter provider that writes into a registry of prom-client: `telemetry: { metrics: promClient(registry) }`. */
export function promClient (registry: Registry): MeterProvider {
  const settings = (wanted: string) => {
    const instrument = instruments.find(({ name }) => name === wanted)
    if (instrument === undefined) throw new TypeError(`no instrument ${wanted}`)
    const { description: help, attributes } = instrument
    return { name: prometheusName(instrument), help, labelNames: attributes.map(sound), registers: [registry] }
  }
  const labelsOf = (attributes: Attributes) =>
    Object.fromEntries(Object.entries(attributes).map(([name, value]) => [sound(name), String(value)]))
  const observable = <Metric extends Gauge | Counter> (make: (collect: () => void) => Metric) => {
    const callbacks = new Set<Callback>()
    const metric = make(() => {
      metric.reset()
      for (const callback of callbacks) callback({ observe: (value, attributes = {}) => metric.inc(labelsOf(attributes), value) })
    })
    return { addCallback: (one: Callback) => { callbacks.add(one) }, removeCallback: (one: Callback) => { callbacks.delete(one) } }
  }
  const meter: Meter = {
    createHistogram (name, { advice }) {
      const metric = new Histogram({ ...settings(name), buckets: advice?.explicitBucketBoundaries ?? [] })
      return { record: (value, attributes) => metric.observe(labelsOf(attributes), value) }
    },
    createObservableGauge: name => observable(collect => new Gauge({ ...settings(name), collect })),
    createObservableCounter: name => observable(collect => new Counter({ ...settings(name), collect }))
  }
  return { getMeter: () => meter }
}
