import { answers, type AnswerCode } from '../lib/http/index.ts'
import type { Phase } from '../lib/pipeline/index.ts'
import { svg } from './svg.ts'

interface Step {
  /** The phases that it shows; none where Fastify or the application acts. */
  readonly phases: readonly Phase[]
  readonly title: string
  readonly text: string
  /** What it may answer; the status of each is in the table of answers. */
  readonly codes?: readonly AnswerCode[]
  /** Answers that are no refusals. */
  readonly done?: readonly number[]
}

interface Stretch { readonly title: string, readonly steps: readonly Step[] }

const way: readonly Stretch[] = [
  {
    title: 'Every request, including preflights and unknown paths',
    steps: [
      {
        phases: ['edge'],
        title: 'Server edge',
        text: 'HTTP that Fastify never sees, shutdown',
        codes: ['SECURE_API_REQUEST_MALFORMED', 'SECURE_API_REQUEST_TIMEOUT', 'SECURE_API_REQUEST_PARAMETER_TOO_LONG',
          'SECURE_API_REQUEST_HEADERS_TOO_LARGE', 'SECURE_API_SERVER_CLOSING']
      },
      { phases: ['headers'], title: 'Security headers', text: 'on every answer, refusals too' },
      {
        phases: ['cors'],
        title: 'CORS',
        text: 'so that web pages can read refusals',
        codes: ['SECURE_API_CORS_REFUSED']
      },
      {
        phases: ['address-limit'],
        title: 'Limit by address',
        text: 'before any cryptography',
        codes: ['SECURE_API_RATE_LIMITED', 'SECURE_API_RATE_LIMIT_UNAVAILABLE']
      },
      { phases: ['audit-gate'], title: 'Audit gate', text: 'if events must not be lost', codes: ['SECURE_API_AUDIT_UNAVAILABLE'] },
      {
        phases: ['preflight'],
        title: 'Preflight',
        text: 'answered by the policy of the target route',
        codes: ['SECURE_API_CORS_REFUSED'],
        done: [204]
      },
      {
        phases: ['method'],
        title: 'Path and method',
        text: 'a path or a method without a route',
        codes: ['SECURE_API_NOT_FOUND', 'SECURE_API_METHOD_NOT_ALLOWED']
      }
    ]
  },
  {
    title: 'By route',
    steps: [
      {
        phases: ['authentication'],
        title: 'Authentication',
        text: 'verifies the token; not on public routes',
        codes: ['SECURE_API_CREDENTIAL_AMBIGUOUS', 'SECURE_API_UNAUTHENTICATED', 'SECURE_API_RATE_LIMITED', 'SECURE_API_KEYS_UNAVAILABLE']
      },
      {
        phases: ['rate-limit'],
        title: 'Limit by caller',
        text: 'by address where nobody is authenticated',
        codes: ['SECURE_API_RATE_LIMITED', 'SECURE_API_RATE_LIMIT_UNAVAILABLE']
      },
      {
        phases: [],
        title: 'Body',
        text: 'Fastify reads and validates it',
        codes: ['SECURE_API_REQUEST_BODY', 'SECURE_API_REQUEST_TOO_LARGE', 'SECURE_API_REQUEST_MEDIA_TYPE']
      },
      {
        phases: ['credential', 'guard'],
        title: 'Rule',
        text: 'scope, role, policy; none: refused',
        codes: ['SECURE_API_CREDENTIAL_AMBIGUOUS', 'SECURE_API_FORBIDDEN']
      },
      { phases: [], title: 'Handler', text: 'yours', codes: ['SECURE_API_APPLICATION_FAILED'], done: [200] }
    ]
  },
  { title: 'Every request, however it ends', steps: [{ phases: ['audit'], title: 'Audit event', text: 'who, what, the outcome and why' }] }
]

const width = 760
const row = 38
const heading = 34
const lines = { circle: 34, title: 62, text: 222, pills: 510 }

const light = '.bar { stroke: #d1d9e0 } .step { fill: #0969da } .own { fill: #59636e } .number { fill: #ffffff } ' +
  '.ok { fill: #dafbe1 } .ok + text { fill: #116329 } .no { fill: #fff1e5 } .no + text { fill: #953800 } ' +
  '.out { fill: #fbefff } .out + text { fill: #6639ba }'
const dark = '.bar { stroke: #3d444d } .step { fill: #1f6feb } .own { fill: #656c76 } ' +
  '.ok { fill: #12261e } .ok + text { fill: #7ee787 } .no { fill: #2d1d10 } .no + text { fill: #ffb77c } ' +
  '.out { fill: #211830 } .out + text { fill: #d2a8ff }'

/** The picture of README: the order of a request, and what each step may answer. Throws unless it has each phase, in their order. */
export function requestPicture (phases: readonly string[]): string {
  const shown = way.flatMap(({ steps }) => steps.flatMap(step => step.phases))
  if (shown.join() !== phases.join()) throw new Error(`the picture shows ${shown.join()}; the phases are ${phases.join()}`)
  let y = 44
  let number = 0
  const parts = way.map(({ title, steps }) => {
    const head = `<text class="dim" x="${lines.title}" y="${y + 22}" font-weight="600">${title}</text>`
    y += heading
    const rows = steps.map(step => {
      number += step.phases.length === 0 ? 0 : 1
      const drawn = stepRow(step, number, y)
      y += row
      return drawn
    })
    return [head, ...rows].join('\n')
  })
  const line = `<line class="bar" x1="${lines.circle}" y1="96" x2="${lines.circle}" y2="${y - row / 2}" stroke-width="2"/>`
  const titles = `<text x="20" y="30" font-size="17" font-weight="600">The order of a request</text>
<text class="dim" x="${lines.pills}" y="30">may answer</text>`
  return svg(width, y + 12, label(), { light, dark }, [titles, line, ...parts].join('\n'))
}

function stepRow ({ phases, title, text, codes = [], done = [] }: Step, number: number, y: number): string {
  const middle = y + row / 2
  const ours = phases.length > 0
  const circle = ours
    ? `<circle class="step" cx="${lines.circle}" cy="${middle}" r="12"/>
<text class="number" x="${lines.circle}" y="${middle + 4.5}" text-anchor="middle" font-size="12" font-weight="600">${number}</text>`
    : `<circle class="own" cx="${lines.circle}" cy="${middle}" r="6"/>`
  const statuses = [...done, ...new Set(codes.map(code => answers[code].status))]
  const pills = statuses.map((status, index) => pill(status, lines.pills + index * 46, middle))
  return [circle, `<text x="${lines.title}" y="${middle + 5}" font-size="14" font-weight="600">${title}</text>`,
    `<text class="dim" x="${lines.text}" y="${middle + 5}">${text}</text>`, ...pills].join('\n')
}

function pill (status: number, x: number, middle: number): string {
  const kind = status < 400 ? 'ok' : status < 500 ? 'no' : 'out'
  return `<rect class="${kind}" x="${x}" y="${middle - 11}" width="40" height="22" rx="11"/>` +
    `<text x="${x + 20}" y="${middle + 4.5}" text-anchor="middle" font-weight="600">${status}</text>`
}

function label (): string {
  return `The order of a request: ${way.flatMap(({ steps }) => steps.map(({ title }) => title.toLowerCase())).join(', ')}`
}
