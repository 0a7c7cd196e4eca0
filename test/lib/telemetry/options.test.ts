import t from 'tap'
import { openTelemetryApi } from '../../../lib/telemetry/index.ts'

const missing = async () => { throw new Error("Cannot find package '@opentelemetry/api'") }

t.test('@opentelemetry/api is loaded only where it is asked for', async t => {
  t.equal(await openTelemetryApi({}, missing), undefined)
  t.equal(await openTelemetryApi({ metrics: { getMeter: () => ({}) as never } }, missing), undefined)
  t.type((await openTelemetryApi({ traces: true }))?.trace.getTracer, 'function')
})

t.test('where it is missing, the boot stops and says what to type', async t => {
  await t.rejects(openTelemetryApi({ metrics: true }, missing), {
    errors: [{ code: 'SECURE_API_TELEMETRY_API_MISSING', path: 'telemetry.metrics', fix: /npm install @opentelemetry\/api/ }]
  })
  await t.rejects(openTelemetryApi({ traces: true }, missing), { errors: [{ path: 'telemetry.traces' }] })
})
