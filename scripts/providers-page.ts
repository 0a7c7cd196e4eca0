import { inspect } from 'node:util'
import { presets, type Preset } from '../lib/tokens/index.ts'
import { presetSamples, type PresetSample } from '../test/fixtures/preset-samples.ts'
import { providerSamples, type ProviderSample } from '../test/fixtures/provider-samples.ts'
import { paragraph, table } from './markdown.ts'

/** The text of docs/providers.md, from the presets and their sample tokens. */
export function providersPage (): string {
  return `# Identity providers

<!-- Made by \`npm run docs\` from lib/tokens/presets.ts and the samples in test/fixtures; a test compares. -->

\`auth: { issuer, audience, preset: 'entra' }\` sets the claim names and quirks of a provider; whatever stands beside it wins.
Without a preset \`scope\` and \`scp\` are scopes, and \`roles\` are roles; [providers without a preset](#providers-without-a-preset)
have their options below. The sample tokens are those of the providers'
documentation, without their times; \`test/lib/tokens/rules.test.ts\` reads each of them.

${Object.entries<Preset>(presets).map(([name, preset]) => section(name, preset)).join('\n')}
## Providers without a preset

Options that read the tokens of these providers, put under \`auth\` or into an entry of \`auth.issuers\`. Names and ids are made up.

${providerSamples.map(providerText).join('\n')}`
}

/** Placeholders such as `<realm>` would be elements outside of code. */
function withCode (text: string): string {
  return text.replace(/https:\/\/(?:<[^>]*>|[^\s<,])+(?<!\.)/g, url => url.includes('<') ? `\`${url}\`` : url)
}

function providerText ({ name, documentation, note, options, header, claims, principal, refused }: ProviderSample): string {
  return `### ${name}

${paragraph(`[Documentation of these tokens](${documentation}). ${note}`)}

\`\`\`js
const auth = ${inspect(options, { depth: null, breakLength: 120, compact: 2 })}
\`\`\`

${becomes({ header, claims, principal })}
${paragraph(`Refused: ${refused.map(({ what, code }) => `${what} (\`${code}\`)`).join('; ')}.`)}
`
}

function section (name: string, preset: Preset): string {
  const samples = presetSamples.filter(sample => sample.preset === name)
  return `## \`${name}\`

${paragraph(`[Documentation of these tokens](${preset.documentation}). ${withCode(preset.issuerHint)}`)}

${table(['what', 'where'], facts(preset))}

${samples.map(sampleText).join('\n')}`
}

function facts ({ algorithms, scopeClaims, roleClaims, audienceClaim = 'aud', tokenUse }: Preset): string[][] {
  const paths = (list: Preset['scopeClaims']) => list.map(path => `\`${path.join('.')}\``).join(', ') || 'none'
  const use = tokenUse === undefined
    ? []
    : [['kind of token',
    `\`${tokenUse.claim}\` must be ${tokenUse.accepted.map(value => `\`${value}\``).join(' or ')}`]]
  return [['scopes', paths(scopeClaims)], ['roles', paths(roleClaims)], ['audience', `\`${audienceClaim}\``],
    ['algorithms', algorithms.join(', ')], ...use]
}

function sampleText ({ name, issuer, audience, header, claims, principal }: PresetSample): string {
  return `${paragraph(`**${name}**, with \`issuer: '${issuer}'\` and \`audience: '${audience}'\`:`)}

${becomes({ header, claims, principal })}`
}

function becomes ({ header, claims, principal: { kind, subject, client, tenant, scopes, roles } }: Pick<PresetSample,
  'header' | 'claims' | 'principal'>): string {
  return `\`\`\`json
${JSON.stringify({ header, claims }, null, 2)}
\`\`\`

becomes

\`\`\`json
${JSON.stringify({ kind, subject, client, tenant, scopes, roles }, null, 2)}
\`\`\`
`
}
