import { createRequire } from 'node:module'
import { extname } from 'node:path'
import { pathToFileURL } from 'node:url'

const advice = 'run `npm install --save-dev tsx`, or build the application and give the compiled file'

/**
 * Options of Node that let it load the application: tsx where the application has it, as it takes every syntax and `./x.js`
 * for x.ts; else Node's own type stripping, which is on by default since 22.18 and behind an option since 22.6.
 * @param given options that the process gets anyway: a loader among them is the developer's choice
 */
export function typescriptOptions (file: string, given: string): readonly string[] {
  if (!/^\.[cm]?tsx?$/.test(extname(file)) || /\b(tsx|ts-node|swc|esbuild|strip-types|transform-types)\b/.test(given)) return []
  const tsx = tsxBeside(file)
  if (tsx !== undefined) return ['--import', pathToFileURL(tsx).href]
  const option = '--experimental-strip-types'
  return !Reflect.get(process.features, 'typescript') && process.allowedNodeEnvironmentFlags.has(option) ? [option] : []
}

function tsxBeside (file: string): string | undefined {
  try {
    return createRequire(file).resolve('tsx')
  } catch {
    return undefined
  }
}

/** What Node says of TypeScript that it cannot load, in words that help; any other error as it is. */
export function explainTypeScript (error: unknown, file: string): unknown {
  const { code, url = '' } = error as { code?: string, url?: string }
  if (!(error instanceof Error) || !/^\.[cm]?tsx?$/.test(extname(file))) return error
  if (code === 'ERR_UNKNOWN_FILE_EXTENSION') {
    return new Error(`this Node (${process.version}) does not load TypeScript; ${advice} instead of ${file}`)
  }
  const beyond = code === 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX' || code === 'ERR_INVALID_TYPESCRIPT_SYNTAX' ||
    code === 'ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING' || (code === 'ERR_MODULE_NOT_FOUND' && /\.[cm]?jsx?$/.test(url))
  return beyond ? Object.assign(error, { message: `${error.message}. Node's own type stripping does not go further: ${advice}` }) : error
}
