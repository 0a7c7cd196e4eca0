import type { FastifyInstance, FastifyPluginAsync, FastifyRequest } from 'fastify'
import { outcomeOf } from '../lib/audit/index.ts'
import { defineSection, movedClock } from '../lib/config/index.ts'
import { refusalOf, type RouteInfo } from '../lib/pipeline/index.ts'
import {
  checkTelemetry, measured, noteOnSpan, openTelemetryApi, startMetrics, startSpans, TelemetryOptionsSchema, type OpenTelemetry,
  type TelemetryOptions
} from '../lib/telemetry/index.ts'
import { contextOf } from './fastify-internals.ts'
import { pipelineOf } from './pipeline.ts'
import type { Frame } from './ports.ts'
import { watchRequests } from './request-watch.ts'
import { suitePlugin } from './suite-plugin.ts'

export const telemetrySection = defineSection<TelemetryOptions, TelemetryOptions>({
  key: 'telemetry',
  schema: TelemetryOptionsSchema,
  rules: checkTelemetry,
  compile: options => options
})

/** Measures the controls, feeds metrics from the diagnostics channels and from `status()`, and notes decisions on spans. */
const telemetry: FastifyPluginAsync<TelemetryOptions> = async (app, given) => {
  const { options } = await telemetrySection.open(given, contextOf(app, undefined))
  const { metrics, traces } = options
  const api = await openTelemetryApi(options)
  const provider = metrics === true ? api?.metrics : metrics
  const pipeline = pipelineOf(app)
  watchRequests(app, pipeline, {
    name: 'telemetry:watch',
    // The audit trail watches them already, and tells of them on the same channel.
    routeOf: () => pipeline.has('audit:watch') ? undefined : true,
    ended () {},
    closed () {}
  })
  pipeline.offer({ measure: measured })
  if (traces === true && api !== undefined) traceRequests(app, pipeline, api)
  if (provider === undefined) return
  // Now, and not when everything is ready: the first keys are fetched then.
  const stop = startMetrics(provider, () => pipeline.status(), movedClock()?.now ?? Date.now)
  app.addHook('onClose', async () => stop())
}

/** Before the answer leaves: the span of the HTTP instrumentation ends with the answer, and takes nothing afterwards. */
function traceRequests (app: FastifyInstance, pipeline: Frame, api: OpenTelemetry): void {
  const stop = startSpans(api)
  const rules = new Map<string, string>()
  const keyOf = (methods: RouteInfo['methods'] | string, url: string) => `${String(methods)} ${url}`
  app.addHook('onReady', async function nameRules () {
    for (const { info } of pipeline.routes) {
      const rule = pipeline.ports.accessOf?.(info)
      if (rule !== undefined) rules.set(keyOf(info.methods, info.url), typeof rule === 'string' ? rule : JSON.stringify(rule))
    }
  })
  const attributesOf = (request: FastifyRequest, status: number) => {
    const { url = '', method } = request.routeOptions
    const outcome = outcomeOf(status, false)
    const rule = rules.get(keyOf(String(method), url))
    const reason = outcome === 'allowed' ? undefined : refusalOf(request)?.code
    const credential = request.auth?.credential
    return {
      'secure_api.outcome': outcome,
      ...(rule !== undefined && { 'secure_api.rule': rule }),
      ...(reason !== undefined && { 'secure_api.reason': reason }),
      ...(credential !== undefined && { 'secure_api.credential': credential })
    }
  }
  app.addHook('onSend', function noteDecision (request, reply, payload, done) {
    noteOnSpan(api, () => attributesOf(request, reply.statusCode))
    done(null, payload)
  })
  app.addHook('onClose', async () => stop())
}

export default suitePlugin('secure-api-telemetry', telemetry)
