import { resolve } from 'node:path'
import { createInterface, type Interface } from 'node:readline/promises'
import { UsageError, type Terminal } from '../command.ts'
import { painter, type Paint } from '../terminal.ts'
import { callingPackageManager, packageManagerNames } from './package-managers.ts'
import { checkLanguage, checkPackageManager, type Wishes } from './request.ts'
import { checkFolder } from './write.ts'

type Asked = Wishes & { readonly folder: string }

/** Asks for what the arguments leave open. An empty answer takes the default, which stands in brackets. */
export async function ask (wishes: Wishes, terminal: Terminal): Promise<Asked> {
  const lines = createInterface({ input: terminal.stdin, output: terminal.stdout })
  const closed = new AbortController()
  lines.once('close', () => closed.abort())
  const checkNew = async (folder: string) => {
    await checkFolder(resolve(terminal.cwd, folder), wishes.force)
    return folder
  }
  const dialogue = new Dialogue(lines, painter(terminal), terminal, closed.signal)
  try {
    const folder = wishes.folder ?? await dialogue.choice('Folder', 'my-api', checkNew)
    const language = wishes.language ?? await dialogue.choice('Language (TypeScript, JavaScript)', 'TypeScript', checkLanguage)
    const packageManager = wishes.packageManager ?? await dialogue.choice(`Package manager (${packageManagerNames.join(', ')})`,
      callingPackageManager(terminal.env), checkPackageManager)
    const install = wishes.install ?? await dialogue.choice('Install the dependencies (yes, no)', 'yes', checkYes)
    return { ...wishes, folder, language, packageManager, install }
  } finally {
    lines.close()
  }
}

class Dialogue {
  readonly #lines: Interface
  readonly #paint: Paint
  readonly #terminal: Terminal
  readonly #closed: AbortSignal

  constructor (lines: Interface, paint: Paint, terminal: Terminal, closed: AbortSignal) {
    this.#lines = lines
    this.#paint = paint
    this.#terminal = terminal
    this.#closed = closed
  }

  async text (question: string, usual: string): Promise<string> {
    const answer = await this.#lines.question(`${this.#paint('bold', question)} [${usual}] `, { signal: this.#closed }).catch(left)
    return answer.trim() || usual
  }

  /** Asks again until the answer is one. */
  async choice <Value> (question: string, usual: string, check: (answer: string) => Value | Promise<Value>): Promise<Value> {
    for (;;) {
      const answer = await this.text(question, usual)
      try {
        return await check(answer)
      } catch (error) {
        this.#terminal.stdout.write(`${error instanceof Error ? error.message : String(error)}\n`)
      }
    }
  }
}

/** Ctrl-C, or the end of the input. */
function left (): never {
  throw new Error('nothing was generated')
}

function checkYes (answer: string): boolean {
  if (/^y(es)?$/i.test(answer)) return true
  if (/^no?$/i.test(answer)) return false
  throw new UsageError(`${JSON.stringify(answer)} is neither yes nor no`)
}
