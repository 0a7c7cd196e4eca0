import { relative, sep } from 'node:path'
import type { Finding } from './check.ts'
import type { Severity } from './codes.ts'

const commands: Readonly<Record<Severity, string>> = { error: 'error', warning: 'warning', note: 'notice' }

/** Workflow commands that GitHub Actions shows at the line where the route is declared. */
export function annotations (findings: readonly Finding[], application: string, root: string): string {
  return findings.map(finding => annotation(finding, application, root)).join('')
}

function annotation ({ code, severity, route, detail, meaning, fix, source }: Finding, application: string, root: string): string {
  const properties = [
    `file=${property(relative(root, source?.file ?? application).split(sep).join('/'))}`,
    ...(source === undefined ? [] : [`line=${source.line}`]),
    `title=${property(code)}`
  ]
  const message = `${route === undefined ? '' : `${route}: `}${meaning}.${detail === '' ? '' : ` Here: ${detail}.`} ${fix}`
  return `::${commands[severity]} ${properties.join(',')}::${data(message)}\n`
}

/** The runner ends a command at a line break, and reads escapes back: actions/toolkit, command.ts. */
function data (text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A')
}

function property (text: string): string {
  return data(text).replaceAll(':', '%3A').replaceAll(',', '%2C')
}
