import { Registry } from 'prom-client'
import t from 'tap'
import { ordersApp } from '../../examples/orders/app.ts'
import { prometheusName, promClient } from '../../examples/prometheus/prom-client.ts'
import { instruments } from '../../plugins/index.ts'
import { createTestIssuer } from '../../testing/index.ts'

const issuer = await createTestIssuer()
t.teardown(() => issuer.close())

t.test('prom-client shows every metric under the name of the table, with its labels', async t => {
  const registry = new Registry()
  const app = await ordersApp({
    auth: { issuer: issuer.issuer, audience: issuer.audience },
    environment: 'development',
    audit: { sink: () => {} },
    telemetry: { metrics: promClient(registry) }
  })
  t.teardown(() => app.close())
  const headers = { authorization: `Bearer ${issuer.sign({ sub: 'alice', scope: 'api.read' })}` }
  await app.inject({ url: '/orders', headers })
  await app.inject({ url: '/orders', headers })
  await app.inject('/orders')
  const text = await registry.metrics()
  for (const instrument of instruments) t.match(text, `# TYPE ${prometheusName(instrument)} `, instrument.name)
  const labels = 'secure_api_outcome="allowed",http_route="/orders",secure_api_reason="none",secure_api_credential="jwt"'
  t.match(text, `secure_api_decisions_total{${labels}} 2`)
  t.match(text, 'secure_api_phase_duration_seconds_count{secure_api_phase="authentication"} 1')
  t.match(text, 'secure_api_tokens_cache_lookups_total{secure_api_result="hit"} 1')
  t.match(await registry.metrics(), 'secure_api_tokens_cache_lookups_total{secure_api_result="hit"} 1', 'not added up')
  t.match(text, `secure_api_keys_count{secure_api_issuer="${issuer.issuer}"} 1`)
  t.notMatch(text, 'alice')
})
