import { fork, type ChildProcess } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { UsageError, type Terminal } from '../command.ts'
import { probeFile } from '../place.ts'
import type { Inventory } from './inventory.ts'
import type { Answer, Wish } from './probe.ts'
import { typescriptOptions } from './typescript.ts'

export interface Question {
  readonly file: string
  readonly options: boolean
  /** Absent: `.env` of the working directory, if there is one, as `fastify start` does. */
  readonly envFile: string | undefined
  readonly timeoutMs: number
}

/** The application runs without its logger, and what the suite would warn of there is among the findings. */
const quiet = '--disable-warning=SecureApiWarning'

/** Starts the application in a process of its own, and takes stock of its routes there. */
export async function askApplication (question: Question, terminal: Terminal): Promise<Inventory> {
  return (await ask(question, terminal, false)).inventory
}

/** The same, with all that `init` has to know. */
export async function askStock (question: Question, terminal: Terminal): Promise<Required<Known>> {
  const { inventory, stock } = await ask(question, terminal, true)
  if (stock === undefined) throw new Error('the application told nothing of its plugins')
  return { inventory, stock }
}

type Known = Extract<Answer, { readonly inventory: Inventory }>

async function ask ({ file, options, envFile, timeoutMs }: Question, terminal: Terminal, stock: boolean): Promise<Known> {
  const question: Wish = { file: resolve(terminal.cwd, file), options, stock }
  if (!existsSync(question.file)) throw new UsageError(`there is no file ${question.file}`)
  if (!statSync(question.file).isFile()) throw new UsageError(`${question.file} is no file: name the one that exports the application`)
  const loaders = typescriptOptions(question.file, [terminal.env['NODE_OPTIONS'], ...process.execArgv].join(' '))
  const child = fork(probeFile, [], {
    cwd: terminal.cwd,
    env: { ...terminal.env },
    execArgv: [...process.execArgv, '--enable-source-maps', quiet, ...loaders, ...environment(envFile, terminal.cwd)],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc']
  })
  child.stdout?.pipe(terminal.stderr, { end: false })
  child.stderr?.pipe(terminal.stderr, { end: false })
  child.send(question)
  return unpack(await answerOf(child, timeoutMs))
}

function environment (envFile: string | undefined, cwd: string): readonly string[] {
  if (envFile === undefined) return existsSync(join(cwd, '.env')) ? [`--env-file=${join(cwd, '.env')}`] : []
  const file = resolve(cwd, envFile)
  if (!existsSync(file)) throw new UsageError(`there is no file ${file}`)
  return [`--env-file=${file}`]
}

async function answerOf (child: ChildProcess, timeoutMs: number): Promise<Answer> {
  return await new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      reject(new Error(`the application was not ready within ${timeoutMs / 1000} seconds; --timeout gives it more`))
    }, timeoutMs)
    child.once('message', answer => resolve(answer as Answer))
    child.once('error', reject)
    child.once('close', (code, signal) => {
      clearTimeout(timer)
      reject(new Error(`the application ended with ${code === null ? String(signal) : `code ${code}`} before its routes were known`))
    })
  })
}

function unpack (answer: Answer): Known {
  if ('inventory' in answer) return answer
  const { message, stack } = answer.failure
  throw Object.assign(new Error(message), { stack })
}
