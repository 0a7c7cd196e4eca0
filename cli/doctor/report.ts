import { padEnd, printable, wrap } from '../display.ts'
import type { Terminal } from '../command.ts'
import { painter, type Paint } from '../terminal.ts'
import type { Examination, Finding, Level } from './finding.ts'

const colours = { ok: 'green', note: 'dim', warning: 'yellow', error: 'red' } as const satisfies Record<Level, string>
const MARGIN = 11

/** Everything that was found, for people. */
export function asText (examinations: readonly Examination[], terminal: Pick<Terminal, 'columns' | 'colour'>): string {
  const paint = painter(terminal)
  const blocks = examinations.map(examination => block(examination, terminal.columns, paint))
  return [...blocks, total(examinations, paint)].join('\n\n')
}

/** The same for programs. */
export function asJson (examinations: readonly Examination[]): string {
  return JSON.stringify({ errors: count(examinations, 'error'), warnings: count(examinations, 'warning'), examinations }, undefined, 2)
}

export function hasErrors (examinations: readonly Examination[]): boolean {
  return count(examinations, 'error') > 0
}

function block ({ title, findings, details = {} }: Examination, columns: number, paint: Paint): string {
  const shown = Object.entries(details).map(([name, value]) => `${paint('bold',
    name)}\n${indent(typeof value === 'string' ? value : JSON.stringify(value, undefined, 2))}`)
  return [paint('bold', printable(title)), ...findings.map(finding => lines(finding, columns, paint)), ...shown].join('\n')
}

function lines ({ code, level, subject, what, fix }: Finding, columns: number, paint: Paint): string {
  const width = Math.max(30, columns - MARGIN)
  const head = `  ${paint(colours[level], padEnd(level, MARGIN - 2))}${paint('dim',
    code)}${subject === undefined ? '' : ` ${printable(subject)}`}`
  const body = wrap(printable(what), width)
  const remedy = fix === undefined ? [] : wrap(`Fix: ${printable(fix)}`, width)
  return [head, ...[...body, ...remedy].map(line => ' '.repeat(MARGIN) + line)].join('\n')
}

function indent (text: string): string {
  return text.split('\n').map(line => `  ${printable(line)}`).join('\n')
}

function total (examinations: readonly Examination[], paint: Paint): string {
  const [errors, warnings] = [count(examinations, 'error'), count(examinations, 'warning')]
  const text = `${number(errors, 'error')}, ${number(warnings, 'warning')}`
  return paint(errors > 0 ? 'red' : warnings > 0 ? 'yellow' : 'green', text)
}

function number (count: number, what: string): string {
  return `${count === 0 ? 'no' : count} ${what}${count === 1 ? '' : 's'}`
}

function count (examinations: readonly Examination[], level: Level): number {
  return examinations.flatMap(({ findings }) => findings).filter(finding => finding.level === level).length
}
