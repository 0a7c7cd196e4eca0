import { isFields } from './types.ts'

/** Text that YAML 1.1 and 1.2 read as a string without quotes. */
const plain = /^[A-Za-z][\w/-]*$/
const reserved = /^(?:true|false|null|yes|no|on|off|y|n|nan|inf)$/i

/**
 * A document as YAML 1.2. Only what JSON can say occurs; strings are written as in JSON, which YAML reads too
 * (YAML 1.2 §1.2), so that no rule of plain scalars has to be known.
 */
export function toYaml (document: unknown): string {
  return `${block(JSON.parse(JSON.stringify(document)), '').replace(/^\n/, '')}\n`
}

/** What stands behind `key:` or `-`: on the same line, or on lines of its own that start with a line break. */
function block (value: unknown, indent: string): string {
  if (Array.isArray(value) && value.length > 0) return value.map(item => `\n${indent}-${inline(block(item, `${indent}  `), indent)}`).join('')
  if (isFields(value) && Object.keys(value).length > 0) {
    return Object.entries(value).map(([name, member]) => `\n${indent}${scalar(name)}:${spaced(block(member, `${indent}  `))}`).join('')
  }
  return Array.isArray(value) ? '[]' : isFields(value) ? '{}' : scalar(value)
}

/** The first member of a mapping or list in a list stands on the line of its dash. */
function inline (text: string, indent: string): string {
  return text.startsWith('\n') ? ` ${text.slice(indent.length + 3)}` : ` ${text}`
}

function spaced (text: string): string {
  return text.startsWith('\n') ? text : ` ${text}`
}

function scalar (value: unknown): string {
  return typeof value === 'string' && plain.test(value) && !reserved.test(value) ? value : JSON.stringify(value)
}
