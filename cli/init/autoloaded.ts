import { existsSync, readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { SeenRegistration } from './watch.ts'

/** The folders that @fastify/autoload was told to read. */
export function foldersOf (registrations: readonly SeenRegistration[]): readonly string[] {
  return registrations.flatMap(({ plugin, options }) => {
    const dir: unknown = typeof options === 'object' && options !== null ? Reflect.get(options, 'dir') : undefined
    return isAutoload(plugin) && typeof dir === 'string' && existsSync(dir) ? [dir] : []
  })
}

/** It has no name of fastify-plugin. */
function isAutoload (plugin: unknown): boolean {
  const callable: unknown = typeof plugin === 'object' && plugin !== null && 'default' in plugin ? plugin.default : plugin
  return typeof callable === 'function' && /^(fastify)?autoload$/i.test(callable.name)
}

/** The file of these folders whose plugin this is. They have been loaded: nothing runs a second time. */
export async function fileOf (plugin: unknown, folders: readonly string[]): Promise<string | undefined> {
  for (const folder of folders) {
    for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
      const file = join(folder, name)
      if (isModule(name) && await exportsPlugin(file, plugin)) return file
    }
  }
  return undefined
}

/** As @fastify/autoload chooses them. */
function isModule (name: string): boolean {
  return /\.[cm]?[jt]s$/.test(name) && !/\.d\.[cm]?ts$|\.(test|spec)\.[cm]?[jt]s$/.test(name)
}

async function exportsPlugin (file: string, plugin: unknown): Promise<boolean> {
  const loaded = createRequire(file).cache[file]
  const module: unknown = loaded === undefined ? await import(pathToFileURL(file).href) : loaded.exports
  return module === plugin || (typeof module === 'object' && module !== null && 'default' in module && module.default === plugin)
}
