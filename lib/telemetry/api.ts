/**
 * The part of `@opentelemetry/api` that is used, so that types of applications without it do not ask for it. Whatever has these methods
 * will do: docs/recipes/prometheus.md puts `prom-client` behind them.
 */
export type Attributes = Record<string, string | number | boolean>

export interface Metadata {
  readonly description: string
  /** UCUM: `s`, `By`, `d`, or a thing in braces. */
  readonly unit: string
  readonly advice?: { explicitBucketBoundaries?: number[] }
}

export interface Histogram {
  record (value: number, attributes: Attributes): void
}

export interface ObservableResult {
  observe (value: number, attributes?: Attributes): void
}

export interface Observable {
  addCallback (callback: (result: ObservableResult) => void): void
  removeCallback (callback: (result: ObservableResult) => void): void
}

export interface Meter {
  createHistogram (name: string, metadata: Metadata): Histogram
  createObservableGauge (name: string, metadata: Metadata): Observable
  createObservableCounter (name: string, metadata: Metadata): Observable
}

/** A `MeterProvider` of OpenTelemetry, or another with these methods. */
export interface MeterProvider {
  getMeter (name: string): Meter
}

export interface Span {
  setAttributes (attributes: Attributes): unknown
  setStatus (status: { code: number }): unknown
  end (endTime?: number): void
}

export interface Tracer {
  startSpan (name: string, options: { kind: number, startTime: number, attributes: Attributes }): Span
}

/** `@opentelemetry/api` itself. */
export interface OpenTelemetry {
  readonly metrics: MeterProvider
  readonly trace: { getTracer (name: string): Tracer, getActiveSpan (): Span | undefined }
}
