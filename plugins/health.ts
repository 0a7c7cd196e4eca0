import type { ServerResponse } from 'node:http'
import type { FastifyContextConfig, FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest, FastifySchema } from 'fastify'
import { scheduleTimer, type Schedule } from '../lib/async/index.ts'
import { defineSection, milliseconds, mistake, movedClock, suggest, type Problems } from '../lib/config/index.ts'
import { endWithAnswer } from '../lib/edge/index.ts'
import { HealthBoard, HealthOptionsSchema, type HealthCheck, type HealthOptions, type HealthReport } from '../lib/health/index.ts'
import { refusal } from '../lib/http/index.ts'
import { answered, noteRefusal, type Handler } from '../lib/pipeline/index.ts'
import { bindingsOf, contextOf } from './fastify-internals.ts'
import { pipelineOf } from './pipeline.ts'
import type { Frame } from './ports.ts'
import { suitePlugin } from './suite-plugin.ts'
import { warn } from './warn.ts'

interface HealthSettings {
  readonly live: string
  readonly ready: string
  /** Milliseconds. */
  readonly drain: number
  readonly failAfter: number
  readonly timeout: number
}

export const healthSection = defineSection<HealthOptions, HealthSettings>({
  key: 'health',
  schema: HealthOptionsSchema,
  rules: checkPaths,
  compile: ({ live = '/health/live', ready = '/health/ready', drain = 0, failAfter = '10 seconds', timeout = '500 ms' }, { prefix }) => ({
    live: prefix + live,
    ready: prefix + ready,
    drain: milliseconds(drain),
    failAfter: milliseconds(failAfter),
    timeout: milliseconds(timeout)
  })
})

function checkPaths ({ live = '/health/live', ready = '/health/ready' }: HealthOptions, path: string, problems: Problems): void {
  if (live !== ready) return
  problems.add('SECURE_API_OPTION_CONFLICT', `${path}.ready`, 'liveness has the same path, and would restart what is only not ready',
    'Give it a path of its own.')
}

const notReady = refusal('SECURE_API_NOT_READY', { headers: { 'retry-after': '1' } })

/**
 * Liveness and readiness, and the drain before the server closes. Probes are answered before the limits and the gate of the audit trail:
 * a liveness probe that a flood or a full disk turns into 429 or 503 restarts what has to go on.
 */
const health: FastifyPluginAsync<HealthOptions> = async (app, given) => {
  const { options, compiled: settings } = await healthSection.open(given, contextOf(app, undefined))
  const pipeline = pipelineOf(app)
  const authenticates = pipeline.has('authentication')
  if (options.scope !== undefined && !authenticates) {
    throw mistake('SECURE_API_OPTION_CONFLICT', 'health.scope', 'nobody is authenticated, so nobody has a scope',
      'Configure `auth`, or remove the scope.')
  }
  const clock = movedClock()
  const board = new HealthBoard({
    ...settings,
    checks: () => pipeline.checks,
    advisory: options.advisory ?? [],
    now: clock?.now,
    elapsed: clock?.elapsed,
    schedule: clock?.schedule,
    onChange: report => { tell(app, report) },
    onError: (check, error) => { warn(app, { err: error, check, code: notReady.code }, 'secure-api: a health check failed') }
  })
  pipeline.report('health', () => board.status())
  answerProbes(app, pipeline, board, settings, authenticates ? options.scope : undefined)
  app.addHook('onReady', async function watchHealth () {
    watchOwn(pipeline, options)
    // Hooks of this kind run in reverse order, so this one, the last, runs before Fastify refuses requests and closes its sockets.
    app.addHook('onClose', async () => { await drain(app, pipeline, board, settings.drain, clock?.schedule ?? scheduleTimer) })
  })
}

function answerProbes (app: FastifyInstance, pipeline: Frame, board: HealthBoard, { live, ready }: HealthSettings,
  scope: string | undefined): void {
  const isProbe = ({ methods, url }: { readonly methods: readonly string[], readonly url: string }) =>
    (url === live || url === ready) && methods.every(method => method === 'GET' || method === 'HEAD')
  const handlers: Readonly<Record<string, Handler>> = {
    [live]: (_request, reply) => {
      send(reply, 200, passes)
      return answered
    },
    [ready]: (request, reply) => scope !== undefined && isVerbose(request) ? undefined : sendStatus(board, request, reply)
  }
  pipeline.add({
    name: 'health',
    phase: 'cors',
    compile ({ route }) {
      const handler = route.kind === 'route' && isProbe(route) ? handlers[route.url] : undefined
      return handler && { hook: 'onRequest', handler }
    }
  })
  const probe: FastifyContextConfig = { public: true, rateLimit: false, audit: false }
  const open = scope === undefined ? probe : { ...probe, authentication: 'optional' } as const
  // What @fastify/swagger adds to the type.
  const schema: FastifySchema & { hide: boolean } = { hide: true }
  app.get(live.slice(app.prefix.length), { config: probe, schema }, async () => {})
  app.get(ready.slice(app.prefix.length), { config: open, schema }, async function showChecks (request, reply) {
    if (scope === undefined || !request.auth.scopes.has(scope)) await sendStatus(board, request, reply)
    else sendReport(request, reply, await board.report(), true)
    return reply
  })
}

/** Kubernetes' own word for it, at `/readyz`. */
function isVerbose ({ query }: FastifyRequest): boolean {
  return typeof query === 'object' && query !== null && Object.hasOwn(query, 'verbose')
}

const passes = '{"status":"pass"}'
const fails = '{"status":"fail"}'

async function sendStatus (board: HealthBoard, request: FastifyRequest, reply: FastifyReply): Promise<typeof answered> {
  sendReport(request, reply, await board.report(), false)
  return answered
}

/** Not `application/health+json`: its draft (inadarei-api-health-check) has expired, the type was never registered, and nobody reads it. */
function sendReport (request: FastifyRequest, reply: FastifyReply, report: HealthReport, verbose: boolean): void {
  const isReady = report.status === 'pass'
  if (!isReady) {
    // With a reason the trail counts those that repeat: an outage of an hour, or a flood, does not fill it.
    noteRefusal(request, notReady)
    reply.headers(notReady.headers)
  }
  send(reply, isReady ? 200 : notReady.status, verbose ? JSON.stringify(report) : isReady ? passes : fails)
}

function send (reply: FastifyReply, status: number, body: string): void {
  reply.code(status).headers({ 'content-type': 'application/json', 'cache-control': 'no-store' }).send(body)
}

/** Checks of the application, when those of the suite and their names are known. */
function watchOwn (pipeline: Frame, { checks = {}, advisory = [] }: HealthOptions): void {
  const taken = [...pipeline.checks.keys(), 'closing']
  for (const [name, check] of Object.entries(checks)) {
    if (taken.includes(name)) {
      throw mistake('SECURE_API_OPTION_CONFLICT', `health.checks.${name}`, 'the suite has a check of this name', 'Choose another name.')
    }
    pipeline.watch(name, ownCheck(check))
  }
  const names = [...pipeline.checks.keys()]
  const unknown = advisory.find(name => !names.includes(name))
  if (unknown === undefined) return
  const meant = suggest(unknown, names)
  throw mistake('SECURE_API_OPTION_VALUE', 'health.advisory', `there is no check \`${unknown}\``,
    meant === undefined ? `The checks are: ${names.join(', ') || 'none'}.` : `Did you mean \`${meant}\`?`)
}

function ownCheck (check: () => unknown): HealthCheck {
  return async () => await check() === true ? undefined : 'it is not true'
}

function tell (app: FastifyInstance, { status, checks }: HealthReport): void {
  if (status === 'pass') return app.log.info({ health: status }, 'secure-api: ready again')
  const failing = Object.fromEntries(Object.entries(checks).filter(([, check]) => check.status !== 'pass'))
  warn(app, { code: notReady.code, health: failing }, 'secure-api: not ready, so load balancers send no requests')
}

/**
 * Readiness says no, and requests are answered as before, until load balancers have seen it. Each answer ends its connection, so that none
 * is idle when the server closes: a request that is on its way to a closing connection is lost, and only the safe ones are sent again.
 */
async function drain (app: FastifyInstance, { ports }: Frame, board: HealthBoard, ms: number, schedule: Schedule): Promise<void> {
  board.close()
  if (ms === 0 || !app.server.listening) return
  if (ports.drain !== undefined) ports.drain()
  else endAnswers(app)
  app.log.info({ ms }, 'secure-api: closing; readiness fails, and requests are answered until load balancers have seen it')
  await new Promise<void>(resolve => { schedule(resolve, ms) })
}

/** In a scope nobody follows the connections of the server, so pipelined requests are not told apart. */
function endAnswers (app: FastifyInstance): void {
  for (const server of [app.server, ...bindingsOf(app) as FastifyInstance['server'][]]) {
    server.prependListener('request', (request: FastifyRequest['raw'], response: FastifyReply['raw']) => {
      if (request.httpVersionMajor < 2) endWithAnswer(response as ServerResponse)
    })
  }
}

export default suitePlugin('secure-api-health', health)
