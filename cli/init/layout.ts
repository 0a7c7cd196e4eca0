import { existsSync, readFileSync } from 'node:fs'
import { basename, dirname, extname, join, relative, sep } from 'node:path'
import type { Style } from './plugin-file.ts'
import { replacedPlugins } from './replaced.ts'
import type { Source, Sources } from './sources.ts'
import type { CallStatement } from './statement.ts'
import { is, stringOf } from './tokens.ts'
import type { Stock } from './types.ts'

/** Where the plugin file goes, how it is written, and how it is registered. */
export interface Layout {
  readonly appFile: string
  readonly file: string
  readonly style: Style
  /** @fastify/autoload finds it. */
  readonly autoloaded: boolean
  /** The line that registers it, in a file. */
  registration (statement: Pick<CallStatement, 'indent' | 'awaitable' | 'receiver'>, from: string): string
}

export function layoutOf (stock: Stock, appFile: string, sources: Sources): Layout {
  const source = sources.get(appFile)
  const extension = extname(appFile)
  const typescript = /ts$/.test(extension)
  const style: Style = {
    typescript,
    modules: source === undefined || isModule(source) ? 'esm' : 'commonjs',
    fastifyPlugin: dependsOn(appFile, 'fastify-plugin'),
    semicolons: source?.tokens.some(token => is(token, ';')) ?? false
  }
  const folder = autoloadFolder(stock)
  const file = join(folder ?? join(dirname(appFile), 'plugins'), `secure-api${extension}`)
  const imported = typescript ? importExtension(appFile, source) : extension
  return {
    appFile,
    file,
    style,
    autoloaded: folder !== undefined,
    registration ({ indent, awaitable, receiver }, from) {
      const path = `./${relative(dirname(from), file).split(sep).join('/')}`.replace('./../', '../').replace(/\.[cm]?[jt]s$/, imported)
      const module = style.modules === 'commonjs' && !typescript ? `require('${path}')` : `import('${path}')`
      return `${indent}${awaitable ? 'await ' : ''}${receiver}.register(${module})${style.semicolons ? ';' : ''}\n`
    }
  }
}

/** That of a plugin whose place the suite takes, or the first that is called `plugins`. */
function autoloadFolder ({ autoload, registrations }: Stock): string | undefined {
  const [replaced] = registrations.filter(({ name }) => replacedPlugins.includes(name))
    .flatMap(({ autoloaded, place }) => autoloaded ?? place?.file ?? [])
  return autoload.find(folder => replaced?.startsWith(folder + sep)) ?? autoload.find(folder => /plugins/.test(basename(folder)))
}

function isModule ({ tokens }: Source): boolean {
  return tokens.some((token, index) => is(token, 'export') || (is(token, 'import') && !is(tokens[index + 1], '(')))
}

function dependsOn (file: string, name: string): boolean {
  const { dependencies = {} } = packageOf(dirname(file)) as { dependencies?: Record<string, unknown> }
  return name in dependencies
}

function packageOf (folder: string): object {
  const file = join(folder, 'package.json')
  if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8')) as object
  return dirname(folder) === folder ? {} : packageOf(dirname(folder))
}

/** As the application imports its own files, else as its compiler wants it. */
function importExtension (appFile: string, source: Source | undefined): string {
  const paths = source?.tokens.flatMap(token => stringOf(token) ?? []).filter(text => /^\.\.?\/.*\.[cm]?[jt]s$/.test(text)) ?? []
  const [first] = paths
  if (first !== undefined) return extname(first)
  return /allowImportingTsExtensions|rewriteRelativeImportExtensions/.test(compilerOptions(dirname(appFile))) ? '.ts' : '.js'
}

function compilerOptions (folder: string): string {
  const file = join(folder, 'tsconfig.json')
  if (existsSync(file)) return readFileSync(file, 'utf8')
  return dirname(folder) === folder || existsSync(join(folder, 'package.json')) ? '' : compilerOptions(dirname(folder))
}
