import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = 'docs/operations'

/** Pages in the folder that explain a part of the suite, and no incident. */
const references = ['health.md', 'metrics.md', 'shutdown.md']

/** The parts of a page of the runbook, in this order. */
export const headings = ['Signs', 'What still works', 'Do', 'It is over when', 'Rehearsal'] as const
export type Heading = typeof headings[number]

/** Where an operator looks. */
export const places = ['log', 'status', 'metric', 'audit', 'answer', 'alert', 'report'] as const
export type Place = typeof places[number]

/** A row of a table: `| log | `keys.failed` | what it says |`. */
export interface Sign {
  readonly place: string
  readonly name: string
}

interface Block {
  readonly language: string
  readonly code: string
}

export interface RunbookPage {
  /** `docs/operations/flood.md` */
  readonly path: string
  readonly text: string
  readonly headings: readonly string[]
  section (heading: Heading): string
  signs (heading: Heading): Sign[]
  /** Blocks of code under a heading. */
  blocks (heading: Heading): Block[]
}

/** The names of all pages that describe an incident: `flood`. */
export function runbook (): string[] {
  return readdirSync(join(root, folder)).filter(name => name.endsWith('.md') && !references.includes(name))
    .map(name => name.slice(0, -3)).sort()
}

export function runbookPage (name: string): RunbookPage {
  const path = join(folder, `${name}.md`)
  const text = readFileSync(join(root, path), 'utf8')
  const parts = text.split(/^## (.+)$/gm)
  const section = (heading: Heading) => parts[parts.indexOf(heading) + 1] ?? ''
  return {
    path,
    text,
    headings: parts.filter((_, index) => index % 2 === 1),
    section,
    signs: heading => signsIn(section(heading)),
    blocks: heading => [...section(heading).matchAll(/^```(\w*)\n(.*?)^```$/gms)]
      .map(([, language = '', code = '']) => ({ language, code }))
  }
}

export function signsIn (text: string): Sign[] {
  return [...text.matchAll(/^\| (\w+) \| `([^`]+)` \|/gm)].map(([, place = '', name = '']) => ({ place, name }))
}

export interface ShellOptions {
  readonly cwd: string
  /** The compiled `secure-api`, in place of that of the package. */
  readonly command: string
  readonly env?: Readonly<Record<string, string>>
}

export interface Ended {
  readonly code: number
  /** Of standard output and standard error. */
  readonly output: string
}

/** Runs a block as it stands in bash, which ends at the first command that fails. */
export async function runShell (code: string, { cwd, command, env = {} }: ShellOptions): Promise<Ended> {
  const script = `set -e\nnpx () { shift; '${process.execPath}' '${command}' "$@"; }\n${code}`
  const options = { cwd, env: { PATH: process.env.PATH ?? '', NODE_ENV: 'test', ...env } }
  return await new Promise(resolve => {
    execFile('bash', ['--norc', '-c', script], options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), output: stdout + stderr })
    })
  })
}
