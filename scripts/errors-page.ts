import { usageFindingCodes } from '../cli/audit/report-codes.ts'
import { findingCodes, type FindingKind } from '../cli/routes/codes.ts'
import { configurationCodes } from '../lib/config/index.ts'
import { answers, type Answer } from '../lib/http/index.ts'
import { paragraph } from './markdown.ts'

/** What is neither the answer to a request nor a mistake in the configuration. */
const otherCodes: Readonly<Record<string, string>> = {
  SECURE_API_CONFIGURATION: 'The code of a `ConfigurationError` with several mistakes. Each of its `errors` has a code of its own.',
  SECURE_API_WARNING: 'A warning without a code of its own, on standard error because the application has no logger. ' +
    'Its text says what to do. With `Fastify({ logger: true })` it goes to the log.',
  SECURE_API_FUNCTION_FAILED: 'In the log: a function of the options threw, or gave what it may not. `function` says which: `policy`, ' +
    '`partition`, `cost`, `plan` or `challenge`. A partition counts by address then; anything else refuses the request.',
  SECURE_API_DENYLIST_FULL: 'Thrown by `revoke()` of a denylist whose memory is full of entries that still count. ' +
    'Nothing was recorded: raise `max`, and revoke again.',
  SECURE_API_DENYLIST_LOCAL_ONLY: 'Thrown by `revoke()` when Redis did not record the entry. It counts in this process only: revoke again.'
}

/** The text of docs/errors.md, from the tables in which every code stands. */
export function errorsPage (): string {
  return `# Codes

<!-- Made by \`npm run docs\` from the tables of codes; a test compares. -->

Every code is stable: it is never given another meaning. Compare codes, never texts. What developers see ends
with a link to its code on this page. A \`RefusalError\` has that link as \`see\`, since its message may reach the caller.

## Answers

What a caller gets. The body is a problem document (RFC 9457) and the code is its member \`code\`; \`title\` is the
phrase of the status. Where a challenge is named, the answer carries \`WWW-Authenticate: Bearer\` with that \`error\`
(RFC 6750 §3); without an error it has a \`realm\` alone. \`ApiKey\` is \`WWW-Authenticate: ApiKey\` with a \`realm\`.

${Object.entries(answers).map(answerText).join('\n\n')}

## Mistakes in the configuration

What stops the boot. All mistakes are found first and then thrown once, as a \`ConfigurationError\`. Each entry of its
\`errors\` has \`code\`, \`path\`, \`message\` and \`fix\`. The error's own \`code\` is that of the only mistake, or
\`SECURE_API_CONFIGURATION\` when there are several.

${explained(configurationCodes)}

## Other codes

${explained(otherCodes)}

## Findings

What [\`secure-api routes --check\`](command-line.md#checks) finds.

${Object.entries(findingCodes).map(findingText).join('\n\n')}

## Findings of a scope review

What [\`secure-api audit report\`](scope-review.md) finds.

${Object.entries(usageFindingCodes).map(findingText).join('\n\n')}
`
}

function explained (codes: Readonly<Record<string, string>>): string {
  return Object.entries(codes).map(([code, meaning]) => `### ${code}\n\n${paragraph(meaning)}`).join('\n\n')
}

function findingText ([code, { severity, meaning, fix }]: [string, FindingKind]): string {
  return `### ${code}\n\n${paragraph(`Severity ${severity}. ${meaning}. ${fix}`)}`
}

function answerText ([code, { status, detail, challenge }]: [string, Answer]): string {
  const named = challenge === 'none' ? 'without an error' : `\`${challenge}\``
  const asked = challenge === undefined ? '' : `, challenge ${named}`
  return `### ${code}\n\nStatus ${status}${asked}. ${detail}`
}
