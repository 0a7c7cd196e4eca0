import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { IntrospectionMessage } from '../introspection/index.ts'
import type { KeyMessage } from '../keys/index.ts'
import type { LimitMessage } from '../limits/index.ts'
import type { StoreMessage } from '../redis/index.ts'
import type { RevocationMessage } from '../tokens/index.ts'
import type { Attributes, Counter, Histogram, Meter, MeterProvider, Observable, ObservableResult } from './api.ts'
import { gauges } from './gauges.ts'
import { instruments, type Instrument, type Named } from './instruments.ts'
import type { PhaseMessage, RequestMessage } from './messages.ts'

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
  const feeds = feedsOf({ counter: name => meter.createCounter(name, metadataOf(name)), histogram: name => histogramOf(meter, name) })
  for (const [name, listener] of feeds) subscribe(name, listener)
  return () => {
    for (const [name, listener] of feeds) unsubscribe(name, listener)
  }
}

interface Makers {
  counter (name: Named<'counter'>): Counter
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
    feed<RequestMessage>('secure-api:request', ({ outcome, route = 'unknown', reason = 'none', credential = 'none' }) => decisions.add(1, {
      'secure_api.outcome': outcome, 'http.route': route, 'secure_api.reason': reasons(reason), 'secure_api.credential': credential
    })),
    feed<PhaseMessage>('secure-api:phase', ({ phase, durationMs }) => phases.record(durationMs / 1000, attributesOf(phase))),
    feed<LimitMessage>('secure-api:rate-limit', ({ policy, result, source = 'none' }) => limits.add(1, {
      'secure_api.policy': policies(policy), 'secure_api.result': result, 'secure_api.source': source
    })),
    feed<StoreMessage>('secure-api:store', message => {
      const store = { 'secure_api.store': message.store }
      if (message.type === 'call') calls.record(message.durationMs / 1000, { ...store, 'secure_api.result': message.result })
      else if (message.type === 'store-unavailable') outages.add(1, { ...store, 'secure_api.reason': message.reason })
    }),
    feed<KeyMessage>('secure-api:keys', message => {
      const issuer = { 'secure_api.issuer': message.issuer }
      if (message.type === 'keys.fetched') {
        fetches.record(message.durationMs / 1000, { ...issuer, 'secure_api.result': message.ok ? 'ok' : 'failed' })
      }
      for (const [change, count] of changesOf(message)) changes.add(count, { ...issuer, 'secure_api.change': change })
    }),
    feed<IntrospectionMessage>('secure-api:introspection', ({ issuer, result, durationMs }) =>
      lookups.record(durationMs / 1000, { 'secure_api.issuer': issuer, 'secure_api.result': result })),
    feed<RevocationMessage>('secure-api:revocation', ({ kind, result }) =>
      revocations.add(1, { 'secure_api.kind': kind, 'secure_api.result': result }))
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

const byPhase = new Map<string, Attributes>()

/** Made once a phase. */
function attributesOf (phase: string): Attributes {
  const known = byPhase.get(phase)
  if (known !== undefined) return known
  const made = { 'secure_api.phase': phase }
  byPhase.set(phase, made)
  return made
}

/** What a subscriber throws, Node makes an uncaught exception of. */
function feed<Message> (channel: string, take: (message: Message) => void): Feed {
  return [channel, message => { safely(() => take(message as Message)) }]
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
  const { description, unit } = instruments.find(instrument => instrument.name === name) ?? { description: '', unit: '' }
  return { description, unit }
}

function histogramOf (meter: Meter, name: Named<'histogram'>): Histogram {
  return meter.createHistogram(name, { ...metadataOf(name), advice: { explicitBucketBoundaries: boundaries } })
}

function bounded (): (name: string) => string {
  const names = new Set<string>()
  return name => {
    if (names.size < mostNames) names.add(name)
    return names.has(name) ? name : 'other'
  }
}
