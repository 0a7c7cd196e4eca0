import { configurationCodes } from '../lib/config/index.ts'
import { answers, type Answer } from '../lib/http/index.ts'

/** The text of docs/errors.md, from the two tables in which every code stands. */
export function errorsPage (): string {
  return `# Codes

<!-- Made by \`npm run docs\` from lib/http/answers.ts and lib/config/codes.ts; a test compares. -->

Every code is stable: it is never given another meaning. Compare codes, never texts.

## Answers

What a caller gets. The body is a problem document (RFC 9457) and the code is its member \`code\`; \`title\` is the
phrase of the status. Where a challenge is named, the answer carries \`WWW-Authenticate: Bearer\` with that \`error\`
(RFC 6750 §3); without an error it has a \`realm\` alone. \`ApiKey\` is \`WWW-Authenticate: ApiKey\` with a \`realm\`.

${Object.entries(answers).map(answerText).join('\n\n')}

## Mistakes in the configuration

What stops the boot. All mistakes are found first and then thrown once, as a \`ConfigurationError\`. Each entry of its
\`errors\` has \`code\`, \`path\`, \`message\` and \`fix\`. The error's own \`code\` is that of the only mistake, or
\`SECURE_API_CONFIGURATION\` when there are several.

${Object.entries(configurationCodes).map(([code, meaning]) => `### ${code}\n\n${meaning}`).join('\n\n')}
`
}

function answerText ([code, { status, detail, challenge }]: [string, Answer]): string {
  const named = challenge === 'none' ? 'without an error' : `\`${challenge}\``
  const asked = challenge === undefined ? '' : `, challenge ${named}`
  return `### ${code}\n\nStatus ${status}${asked}. ${detail}`
}
