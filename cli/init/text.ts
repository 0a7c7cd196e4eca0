import type { Terminal } from '../command.ts'
import { printable, wrap } from '../display.ts'
import { painter, type Paint } from '../terminal.ts'
import type { Finding } from './findings.ts'
import type { Plan } from './plan.ts'
import { shown } from './sources.ts'

const titles: Readonly<Record<Finding['level'], readonly [title: string, colour: Parameters<Paint>[0]]>> = {
  must: ['You must do this by hand', 'red'],
  look: ['Please look at these', 'yellow'],
  note: ['What changes', 'blue']
}

/** The report for people. */
export function reportText ({ plugin, routes, findings }: Plan, terminal: Terminal, folder: string): string {
  const paint = painter(terminal)
  const count = (written: Plan['routes'][number]['written']) => routes.filter(route => route.written === written).length
  const blocks = (Object.keys(titles) as Finding['level'][]).map(level => block(level, findings, terminal, folder))
  return [
    `${paint('bold', `${routes.length} routes`)}: ${count('route')} get their rule where they are declared, ` +
      `${count('plugin')} in ${shown(plugin, folder)}, ${count('none')} none.`,
    ...blocks.filter(block => block !== ''),
    ''
  ].join('\n\n')
}

function block (level: Finding['level'], findings: readonly Finding[], terminal: Terminal, folder: string): string {
  const paint = painter(terminal)
  const [title, colour] = titles[level]
  const here = findings.filter(finding => finding.level === level)
  const texts = new Set(here.map(({ text }) => text))
  const lines = [...texts].map(text => entry(text, here.filter(finding => finding.text === text), terminal, folder))
  return lines.length === 0 ? '' : [paint(colour, title), ...lines].join('\n')
}

/** What is true of several routes is said once. */
function entry (text: string, findings: readonly Finding[], terminal: Terminal, folder: string): string {
  const places = findings.map(({ place, route }) =>
    [place && `${shown(place.file, folder)}:${place.line}`, route].filter(part => part !== undefined).join(' '))
  const [only = '', ...more] = places
  if (more.length > 0) {
    return [...lines(`${text}:`, '  - ', terminal), ...places.flatMap(place => lines(place, '      ', terminal))].join('\n')
  }
  return lines(only === '' ? text : `${only}: ${text}`, '  - ', terminal).join('\n')
}

function lines (words: string, mark: string, { columns }: Terminal): readonly string[] {
  const width = Math.min(columns, 110) - mark.length
  return wrap(printable(words), width).map((part, index) => `${index === 0 ? mark : ' '.repeat(mark.length)}${part}`)
}
