import { parseArguments } from '../arguments.ts'
import { UsageError, type Grammar } from '../command.ts'
import { languages, type Application, type Feature, type Language } from './application.ts'
import { isPackageName, nameOf } from './name.ts'
import { callingPackageManager, packageManagerNames } from './package-managers.ts'

/** What the command is asked for. */
export interface Request extends Application {
  readonly folder: string
  readonly install: boolean
  readonly force: boolean
}

/** The same, as far as the arguments say; `folder` is absent when nobody named one. */
export interface Wishes {
  readonly folder: string | undefined
  readonly name: string | undefined
  readonly language: Language | undefined
  readonly packageManager: Application['packageManager'] | undefined
  readonly features: readonly Feature[]
  readonly install: boolean | undefined
  readonly force: boolean
}

/** What callers bring. Keys come beside tokens. */
const credentials = ['token', 'api-key'] as const

const options = {
  name: { type: 'string' },
  lang: { type: 'string' },
  'package-manager': { type: 'string' },
  auth: { type: 'string' },
  redis: { type: 'boolean' },
  openapi: { type: 'boolean' },
  'no-install': { type: 'boolean' },
  force: { type: 'boolean' }
} as const

export const grammar: Grammar = {
  options,
  values: { lang: languages, 'package-manager': packageManagerNames, auth: credentials },
  takes: 'folder'
}

/** @throws UsageError, or what `parseArgs` throws */
export function readArguments (args: readonly string[]): Wishes {
  const { values, positionals } = parseArguments(args, options)
  const [folder, second] = positionals
  if (second !== undefined) throw new UsageError(`one folder is enough; ${JSON.stringify(second)} is a second one`)
  if (folder === '') throw new UsageError('the name of the folder is empty')
  return {
    folder,
    name: values.name === undefined ? undefined : checkName(values.name),
    language: values.lang === undefined ? undefined : checkLanguage(values.lang),
    packageManager: values['package-manager'] === undefined ? undefined : checkPackageManager(values['package-manager']),
    features: [
      ...(['redis', 'openapi'] as const).filter(name => values[name] === true),
      ...(checkCredential(values.auth ?? 'token') === 'api-key' ? ['apiKeys'] as const : [])
    ],
    install: values['no-install'] === true ? false : undefined,
    force: values.force ?? false
  }
}

/** Fills in what nobody said. */
export function complete (wishes: Wishes & { readonly folder: string }, env: Readonly<Record<string, string | undefined>>): Request {
  const { folder, name = nameOf(folder), language = 'ts', packageManager = callingPackageManager(env), install = true } = wishes
  return { folder, name, language, packageManager, features: wishes.features, install, force: wishes.force }
}

export function checkName (name: string): string {
  if (isPackageName(name)) return name
  throw new UsageError(`${JSON.stringify(name)} is not a valid package name: use lower-case letters, digits, \`-\`, \`.\` and \`_\`, ` +
    'not that of a dependency, and @scope/ before it if you like')
}

const languageNames: Readonly<Record<Language, readonly string[]>> = { ts: ['ts', 'typescript'], js: ['js', 'javascript'] }

export function checkLanguage (language: string): Language {
  const found = Object.entries(languageNames).find(([, names]) => names.includes(language.toLowerCase()))
  if (found !== undefined) return found[0] as Language
  throw new UsageError(`${JSON.stringify(language)} is neither TypeScript (ts) nor JavaScript (js)`)
}

function checkCredential (name: string): typeof credentials[number] {
  const found = credentials.find(known => known === name.toLowerCase())
  if (found !== undefined) return found
  throw new UsageError(`${JSON.stringify(name)} is no credential that is known here: ${credentials.join(', ')}`)
}

export function checkPackageManager (name: string): Application['packageManager'] {
  const found = packageManagerNames.find(known => known === name.toLowerCase())
  if (found !== undefined) return found
  throw new UsageError(`${JSON.stringify(name)} is not a package manager that is known here: ${packageManagerNames.join(', ')}`)
}
