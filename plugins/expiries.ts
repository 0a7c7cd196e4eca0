import type { FastifyInstance } from 'fastify'
import { scheduleTimer } from '../lib/async/index.ts'
import { movedClock, type ConfigurationCode } from '../lib/config/index.ts'
import { Expiries, expiryOfPeer, type ExpiryEvent, type PeerCertificate } from '../lib/health/index.ts'
import { Marks } from '../lib/marks/index.ts'
import { pipelineOf } from './pipeline.ts'
import type { Frame } from './ports.ts'
import { warn } from './warn.ts'

const HOUR = 3_600_000
const kept = new Marks<Frame, Expiries>()

/** When certificates end: one list for each pipeline, `certificates` of its status. Made when the first plugin asks. */
export function expiriesOf (app: FastifyInstance): Expiries {
  const pipeline = pipelineOf(app)
  const known = kept.of(pipeline)
  if (known !== undefined) return known
  const clock = movedClock()
  const expiries = new Expiries(event => { tell(app, event) }, clock?.now)
  kept.set(pipeline, expiries)
  pipeline.report('certificates', () => expiries.status())
  let cancel = () => {}
  const look = () => {
    expiries.look()
    cancel = (clock?.schedule ?? scheduleTimer)(look, HOUR)
  }
  app.addHook('onReady', async function watchExpiries () { look() })
  app.addHook('onClose', async () => { cancel() })
  return expiries
}

/** For whoever opens connections: what their peers show. */
export function peerWatch (app: FastifyInstance, name: string): (host: string, certificate: PeerCertificate) => void {
  const expiries = expiriesOf(app)
  return (host, certificate) => {
    expiries.see(`${name} ${host}`, expiryOfPeer(name, certificate))
    expiries.look()
  }
}

function tell (app: FastifyInstance, event: ExpiryEvent): void {
  const code = 'SECURE_API_CERTIFICATE_EXPIRING' satisfies ConfigurationCode
  const level = event.stage === 'renew' || event.stage === 'soon' ? 'warn' : 'error'
  const { name, daysLeft } = event
  const text = daysLeft < 0 ? 'is over' : `ends in ${daysLeft} days`
  warn(app, { code, certificate: event }, `secure-api: the certificate of ${name} ${text}`, level)
}
