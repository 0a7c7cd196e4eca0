import type { FastifyContextConfig, FastifyInstance, FastifyReply, FastifyRequest, RouteHandlerMethod } from 'fastify'
import { readReports, reportTypes, type OtherReport, type ReportKind, type ReportsOptions, type Violation } from '../lib/headers/index.ts'
import { refusal } from '../lib/http/index.ts'
import { writeProblem } from '../lib/pipeline/index.ts'
import type { Frame } from './ports.ts'

const malformed = refusal('SECURE_API_REPORT_MALFORMED')

/** The public route that browsers send reports to. Limited by address, so that a flood takes nothing from the callers of the API. */
export async function collectReports (app: FastifyInstance, reports: ReportsOptions, pipeline: Frame): Promise<void> {
  const { path, maxBytes = 16_384, perMinute = 60 } = reports
  const counts: Counts = { 'csp-violation': 0 }
  pipeline.report('reports', () => ({ ...counts }))
  const config: FastifyContextConfig = {
    public: true,
    rateLimit: { limit: perMinute, window: '1 minute', by: 'address' },
    // The Reporting API asks with a preflight when the page is of another origin (Reporting §3.3).
    cors: { methods: ['POST'], requestHeaders: ['content-type'], credentials: false },
    audit: false
  }
  await app.register(async scope => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser([...reportTypes], { parseAs: 'string' }, (_request, text, done) => { done(null, text) })
    scope.post(path, { bodyLimit: maxBytes, config }, collector(reports, pipeline, counts))
  })
}

/** How many reports of each type came in, since the start. */
type Counts = Partial<Record<OtherReport, number>> & { 'csp-violation': number }

function collector ({ maxReports = 10, sample = false }: ReportsOptions, pipeline: Frame, counts: Counts): RouteHandlerMethod {
  const options = { max: maxReports, sample }
  return function collectViolations (request: FastifyRequest, reply: FastifyReply) {
    const kind = kindOf(request.headers['content-type'])
    const read = kind === undefined || typeof request.body !== 'string' ? undefined : readReports(kind, request.body, options)
    if (read === undefined) return writeProblem(request, reply, malformed)
    const { onViolations = logViolations } = pipeline.ports
    onViolations(request, read.violations)
    counts['csp-violation'] += read.violations.length + read.more
    for (const type of read.others) counts[type] = (counts[type] ?? 0) + 1
    reply.code(204).send()
  }
}

/** Where there is no audit trail. */
function logViolations ({ log }: FastifyRequest, violations: readonly Violation[]): void {
  for (const violation of violations) log.warn({ violation }, 'secure-api: a browser reported a violation of the Content-Security-Policy')
}

function kindOf (contentType = ''): ReportKind | undefined {
  const [type = ''] = contentType.toLowerCase().split(';', 1)
  return reportTypes.find(kind => kind === type.trim())
}
