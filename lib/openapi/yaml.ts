import { isFields } from '../config/index.ts'

/** Text that YAML 1.1 and 1.2 read as a string even without quotes. */
const plain = /^[A-Za-z][\w/-]*$/
const reserved = /^(?:true|false|null|yes|no|on|off|y|n|nan|inf)$/i

/** A document of JSON values as YAML 1.2. Strings are written as in JSON, which is valid YAML (§1.2): no rules of plain scalars. */
export function toYaml (document: unknown): string {
  return `${block(JSON.parse(JSON.stringify(document)), '').replace(/^\n/, '')}\n`
}

/** The text after `key:` or `-`: on the same line, or on its own lines after a line break. */
function block (value: unknown, indent: string): string {
  if (Array.isArray(value) && value.length > 0) {
    // The first member of a mapping or list inside a list goes on the line of its dash.
    return value.map(item => `\n${indent}- ${block(item, `${indent}  `).trimStart()}`).join('')
  }
  if (isFields(value) && Object.keys(value).length > 0) {
    return Object.entries(value).map(([name, member]) => `\n${indent}${scalar(name)}:${spaced(block(member, `${indent}  `))}`).join('')
  }
  return Array.isArray(value) ? '[]' : isFields(value) ? '{}' : scalar(value)
}

function spaced (text: string): string {
  return text.startsWith('\n') ? text : ` ${text}`
}

function scalar (value: unknown): string {
  return typeof value === 'string' && plain.test(value) && !reserved.test(value) ? value : JSON.stringify(value)
}
