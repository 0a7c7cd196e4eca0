import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { IntrospectionMessage } from '../introspection/index.ts'
import type { KeyMessage } from '../keys/index.ts'
import type { LimitMessage } from '../limits/index.ts'
import type { StoreMessage } from '../redis/index.ts'
import type { RevocationMessage } from '../tokens/index.ts'
import type { Histogram, Meter, MeterProvider, Observable, ObservableResult } from './api.ts'
import { gauges } from './gauges.ts'
import { instruments, type Instrument, type Named } from './instruments.ts'
import type { PhaseMessage, RequestMessage } from './messages.ts'
import { Tally } from './tally.ts'

/** In seconds: a control takes microseconds, a call to Redis milliseconds, a provider up to seconds. */
const boundaries = [1e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 5e-4, 1e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.5, 1, 5]

/** Names that code of the application makes up, such as reasons of its own controls, are counted apart up to this number. */
const mostNames = 100

const SCOPE = 'fastify-secure-api'

/** Who listens for a provider: applications that share one are counted once. */
const shared = new WeakMap<MeterProvider, { users: number, readonly stop: () => void }>()

/**
 * Feeds the instruments of a provider until it is called back: from the diagnostics channels, which belong to the process, and from
 * the status of one application. A provider that throws must not cost a request, so that it is asked only through {@link safely}.
 */
export function startMetrics (provider: MeterProvider, status: () => Readonly<Record<string, unknown>>, now: () => number): () => void {
  const meter = provider.getMeter(SCOPE)
  const known = shared.get(provider)
  const listening = known ?? { users: 0, stop: listen(meter) }
  listening.users++
  shared.set(provider, listening)
  const stopGauges = observe(meter, status, now)
  return () => {
    stopGauges()
    if (--listening.users > 0) return
    listening.stop()
    shared.delete(provider)
  }
}

type Feed = readonly [channel: string, listener: (message: unknown) => void]

/** Counters and histograms. */
function listen (meter: Meter): () => void {
  const tallies: Array<readonly [Observable, (result: ObservableResult) => void]> = []
  const feeds = feedsOf({
    counter (name) {
      const tally = new Tally(attributesOf(name))
      const observable = meter.createObservableCounter(name, metadataOf(name))
      const callback = (result: ObservableResult) => { safely(() => tally.report(result)) }
      observable.addCallback(callback)
      tallies.push([observable, callback])
      return tally
    },
    histogram: name => histogramOf(meter, name)
  })
  for (const [name, listener] of feeds) subscribe(name, listener)
  return () => {
    for (const [name, listener] of feeds) unsubscribe(name, listener)
    for (const [observable, callback] of tallies) observable.removeCallback(callback)
  }
}

interface Makers {
  counter (name: Named<'observable-counter'>): Tally
  histogram (name: Named<'histogram'>): Histogram
}

function feedsOf ({ counter, histogram }: Makers): readonly Feed[] {
  const decisions = counter('secure_api.decisions')
  const limits = counter('secure_api.limit.decisions')
  const outages = counter('secure_api.store.outages')
  const changes = counter('secure_api.keys.changes')
  const revocations = counter('secure_api.revocations')
  const [phases, calls] = [histogram('secure_api.phase.duration'), histogram('secure_api.store.duration')]
  const [fetches, lookups] = [histogram('secure_api.keys.fetch.duration'), histogram('secure_api.introspection.duration')]
  const [reasons, policies] = [bounded(), bounded()]
  return [
    feed<RequestMessage>('secure-api:request', ({ outcome, route = 'unknown', reason = 'none', credential = 'none' }) =>
      decisions.add(1, outcome, route, reasons(reason), credential)),
    feed<PhaseMessage>('secure-api:phase', ({ phase, durationMs }) => phases.record(durationMs / 1000, { 'secure_api.phase': phase })),
    feed<LimitMessage>('secure-api:rate-limit', ({ policy, result, source = 'none' }) => limits.add(1, policies(policy), result, source)),
    feed<StoreMessage>('secure-api:store', message => {
      if (message.type === 'store-unavailable') outages.add(1, message.store, message.reason)
      if (message.type !== 'call') return
      calls.record(message.durationMs / 1000, { 'secure_api.store': message.store, 'secure_api.result': message.result })
    }),
    feed<KeyMessage>('secure-api:keys', message => {
      const { issuer } = message
      for (const [change, count] of changesOf(message)) changes.add(count, issuer, change)
      if (message.type !== 'keys.fetched') return
      fetches.record(message.durationMs / 1000, { 'secure_api.issuer': issuer, 'secure_api.result': message.ok ? 'ok' : 'failed' })
    }),
    feed<IntrospectionMessage>('secure-api:introspection', ({ issuer, result, durationMs }) =>
      lookups.record(durationMs / 1000, { 'secure_api.issuer': issuer, 'secure_api.result': result })),
    feed<RevocationMessage>('secure-api:revocation', ({ kind, result }) => revocations.add(1, kind, result))
  ]
}

function changesOf (message: KeyMessage): ReadonlyArray<readonly [change: string, count: number]> {
  switch (message.type) {
    case 'keys.changed': return ([['added', message.added.length], ['removed', message.removed.length]] as const).filter(([, n]) => n > 0)
    case 'keys.dropped': return [['dropped', 1]]
    case 'keys.expired': return [['expired', 1]]
    default: return []
  }
}

/** What a subscriber throws, Node makes an uncaught exception of. */
function feed<Message> (channel: string, take: (message: Message) => void): Feed {
  return [channel, message => {
    try {
      take(message as Message)
    } catch {}
  }]
}

function safely (work: () => void): void {
  try {
    work()
  } catch {}
}

/** Gauges. The status is read once for all that are asked for in one turn. */
function observe (meter: Meter, status: () => Readonly<Record<string, unknown>>, now: () => number): () => void {
  let current: Readonly<Record<string, unknown>> | undefined
  const statusNow = () => {
    if (current === undefined) setImmediate(() => { current = undefined })
    current ??= status()
    return current
  }
  const watched = gauges.map(({ name, kind, values }) => {
    const observable = kind === 'observable-gauge'
      ? meter.createObservableGauge(name, metadataOf(name))
      : meter.createObservableCounter(name, metadataOf(name))
    const callback = (result: ObservableResult) => safely(() => {
      for (const [value, attributes] of values(statusNow(), now())) result.observe(value, attributes)
    })
    observable.addCallback(callback)
    return [observable, callback] as const
  })
  return () => watched.forEach(([observable, callback]: readonly [Observable, (result: ObservableResult) => void]) =>
    observable.removeCallback(callback))
}

function metadataOf (name: Instrument['name']): { description: string, unit: string } {
  const { description, unit } = find(name)
  return { description, unit }
}

function attributesOf (name: Instrument['name']): readonly string[] {
  return find(name).attributes
}

function find (wanted: Instrument['name']): Instrument {
  const found = instruments.find(({ name }) => name === wanted)
  if (found === undefined) throw new TypeError(`no instrument ${wanted}`)
  return found
}

function histogramOf (meter: Meter, name: Named<'histogram'>): Histogram {
  return meter.createHistogram(name, { ...metadataOf(name), advice: { explicitBucketBoundaries: boundaries } })
}

function bounded (): (name: string) => string {
  const names = new Set<string>()
  return name => {
    if (names.has(name)) return name
    if (names.size >= mostNames) return 'other'
    names.add(name)
    return name
  }
}
