import type { FastifyInstance } from 'fastify'
import { movedClock, type ConfigurationCode, type Environment, type SectionContext } from '../lib/config/index.ts'
import { Expiries, type ExpiryEvent } from '../lib/health/index.ts'
import { Marks } from '../lib/marks/index.ts'
import { dueOf, Secrets, type SecretEvent } from '../lib/secrets/index.ts'
import { scheduleTimer } from '../lib/async/index.ts'
import { contextOf } from './fastify-internals.ts'
import { pipelineOf } from './pipeline.ts'
import type { Frame } from './ports.ts'
import { warn } from './warn.ts'

const HOUR = 3_600_000
const kept = new Marks<Frame, Secrets>()

/** The secrets of this scope: one list for each pipeline, `secrets` of its status. Made when the first plugin asks. */
export function secretsOf (app: FastifyInstance): Secrets {
  const pipeline = pipelineOf(app)
  const known = kept.of(pipeline)
  if (known !== undefined) return known
  const clock = movedClock()
  const secrets = new Secrets({
    tell: event => { tell(app, event) },
    warn: (code, option, why, fix) => { warn(app, { code, option }, `secure-api: ${option}: ${why}. ${fix}`) },
    now: clock?.now,
    schedule: clock?.schedule
  })
  kept.set(pipeline, secrets)
  pipeline.report('secrets', () => secrets.status())
  const due = new Expiries(event => { tellDue(app, event) }, clock?.now)
  due.from(() => secrets.list.flatMap(secret => {
    const { at, lifetime } = dueOf(secret) ?? {}
    return at === undefined || lifetime === undefined ? [] : [{ name: secret.option, notAfter: at, lifetime }]
  }))
  let cancel = () => {}
  const look = () => {
    due.look()
    cancel = (clock?.schedule ?? scheduleTimer)(look, HOUR)
  }
  app.addHook('onReady', async function watchSecrets () {
    secrets.start()
    look()
    if (secrets.list.some(({ isProvided }) => isProvided)) watchExpiry(pipeline, secrets, clock?.now)
  })
  app.addHook('onClose', async () => {
    cancel()
    await secrets.close()
  })
  return secrets
}

/** What a section may know of this scope, with what reads its secrets. */
export function secretContextOf (app: FastifyInstance, environment: Environment | undefined): SectionContext {
  return { ...contextOf(app, environment), secrets: secretsOf(app) }
}

/** One that its provider says has ended. One that is due, or cannot be looked at, still works. */
function watchExpiry (pipeline: Frame, secrets: Secrets, now: () => number = Date.now): void {
  pipeline.watch('secrets', () => {
    const expired = secrets.list.some(({ about: { expires = Infinity } }) => expires <= now())
    return expired ? 'a secret has expired' : undefined
  })
}

function tell (app: FastifyInstance, { type, ...event }: SecretEvent): void {
  const { option, source } = event
  const news = (name: string, text: string) => { app.log.info({ type: name, secret: event }, `secure-api: ${option} ${text}`) }
  if (type === 'changed') return news('secret.changed', `has a new value, from ${source}`)
  if (type === 'restored') return news('secret.restored', 'can be read again')
  const code: ConfigurationCode = type === 'failed' ? 'SECURE_API_SECRET_UNAVAILABLE' : 'SECURE_API_SECRET_REFUSED'
  const what = type === 'failed' ? 'cannot be read' : 'has a new value that cannot be used'
  const why = 'why' in event ? String(event.why) : ''
  warn(app, { code, secret: event }, `secure-api: ${option} ${what}, so the one before stays in use: ${why}`, 'error')
}

function tellDue (app: FastifyInstance, { stage, name, daysLeft, expires }: ExpiryEvent): void {
  const code = 'SECURE_API_SECRET_DUE' satisfies ConfigurationCode
  const level = stage === 'renew' || stage === 'soon' ? 'warn' : 'error'
  const text = daysLeft < 0 ? 'should have been replaced' : `is to be replaced in ${daysLeft} days`
  warn(app, { code, secret: { option: name, due: expires, dueInDays: daysLeft } }, `secure-api: ${name} ${text}`, level)
}
