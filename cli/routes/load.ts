import { existsSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import { explainTypeScript } from './typescript.ts'

export interface LoadOptions {
  /** Absolute path of the application's module. */
  readonly file: string
  /** Whether `export const options` applies, as with `fastify start -o`. */
  readonly options: boolean
}

/** What a module exports, whichever module system it was written for. */
interface Exported {
  readonly app: unknown
  readonly options: Readonly<Record<string, unknown>>
}

/**
 * The server of a module, with its plugins registered: the module exports what `fastify start` takes, a server, or
 * a function without arguments that makes one. Nothing listens.
 */
export async function loadApplication ({ file, options }: LoadOptions): Promise<FastifyInstance> {
  checkFile(file)
  const exported = await importModule(file)
  if (isServer(exported.app)) return exported.app
  if (!isCallable(exported.app)) {
    throw new Error(`${file} exports neither a plugin nor a server; export default async function app (fastify, options) { ... }`)
  }
  return exported.app.length === 0 ? await made(exported.app, file) : hosted(exported.app, options ? exported.options : {}, file)
}

function checkFile (file: string): void {
  if (!existsSync(file) || !statSync(file).isFile()) throw new Error(`there is no file ${file}`)
}

async function importModule (file: string): Promise<Exported> {
  const module: Record<string, unknown> = await import(pathToFileURL(file).href).catch(error => { throw explainTypeScript(error, file) })
  const main = 'default' in module ? module['default'] : module
  // CommonJS that was compiled from ESM has its default export under `default` once more.
  const app = isObject(main) && !isServer(main) && 'default' in main ? main['default'] : main
  return { app, options: optionsOf(module) ?? optionsOf(main) ?? {} }
}

function optionsOf (holder: unknown): Readonly<Record<string, unknown>> | undefined {
  return isObject(holder) && isObject(holder['options']) ? holder['options'] : undefined
}

function isObject (value: unknown): value is Record<string, unknown> {
  return (typeof value === 'object' || typeof value === 'function') && value !== null
}

type Callable = (...args: unknown[]) => unknown

function isCallable (value: unknown): value is Callable {
  return typeof value === 'function'
}

function isServer (value: unknown): value is FastifyInstance {
  return typeof value === 'object' && value !== null &&
    ['register', 'ready', 'close', 'printRoutes'].every(name => name in value && typeof Reflect.get(value, name) === 'function')
}

async function made (factory: Callable, file: string): Promise<FastifyInstance> {
  const app: unknown = await factory()
  if (isServer(app)) return app
  throw new Error(`the function that ${file} exports takes no argument and returned no server; a plugin takes two, (fastify, options)`)
}

/** As fastify-cli registers a plugin: with the module's options, and encapsulated unless they say `skipOverride`. */
function hosted (plugin: Callable, options: Readonly<Record<string, unknown>>, file: string): FastifyInstance {
  const { loggerInstance: _, ...server } = options
  const app = applicationsFastify(file)({ ...server, logger: false })
  // Whoever starts the plugin in earnest gives it a logger, as fastify-cli does: here it would only disturb what is printed.
  Object.assign(app.server, { [Symbol.for('fastify-secure-api.hosted')]: true })
  if (options['skipOverride'] === true) Object.assign(plugin, { [Symbol.for('skip-override')]: true })
  app.register(plugin as FastifyPluginAsync, options)
  return app
}

/** The Fastify beside the application; the one beside this command where the application has none of its own. */
function applicationsFastify (file: string): (options: object) => FastifyInstance {
  const own = createRequire(file)
  const module: unknown = canResolve(own) ? own('fastify') : createRequire(import.meta.url)('fastify')
  if (!isCallable(module)) throw new Error(`the package fastify that ${file} would load is not Fastify`)
  return options => module(options) as FastifyInstance
}

function canResolve (require: NodeJS.Require): boolean {
  try {
    return require.resolve('fastify') !== ''
  } catch {
    return false
  }
}
