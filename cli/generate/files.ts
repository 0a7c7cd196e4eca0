import { readdirSync, readFileSync } from 'node:fs'
import { join, sep } from 'node:path'
import type { Application, Language } from './application.ts'
import { keyPrefix, shortName } from './name.ts'
import { originOf } from './origin.ts'
import { packageJson } from './package-json.ts'
import { packageManagers, type PackageManager } from './package-managers.ts'
import { nodeImage, nodeVersion } from './versions.ts'

/** Contents by path, `/` between the parts. */
export type Files = ReadonlyMap<string, string>

/** Folders that are laid over each other, the later one on top. The build makes app-js from app-ts. */
const layers: Readonly<Record<Language, readonly string[]>> = { ts: ['common', 'app-ts'], js: ['common', 'app-js'] }

/**
 * All files of an application. Touches nothing but the templates.
 * @param root the folder of this package
 */
export function applicationFiles (root: string, application: Application): Files {
  const origin = originOf(root)
  const manager = packageManagers[application.packageManager]
  const words = wordsOf(application, manager)
  const files = new Map<string, string>()
  for (const layer of layers[application.language]) {
    for (const [path, text] of readLayer(join(root, 'templates', layer))) {
      if (!isLeftOut(text, words)) files.set(path, fill(path, text, words))
    }
  }
  if (manager.name === 'npm') files.set('.npmrc', `ignore-scripts=true\n${origin.local ? 'install-links=true\n' : ''}`)
  files.set('package.json', `${JSON.stringify(packageJson(application, origin), null, 2)}\n`)
  return new Map([...files].sort(([one], [other]) => one < other ? -1 : 1))
}

/** npm takes `.gitignore` and other files with a dot out of packages: in the templates a leading `_` stands for it. */
function readLayer (folder: string): [path: string, text: string][] {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile()).map(entry => {
    const file = join(entry.parentPath, entry.name)
    const path = file.slice(folder.length + 1).split(sep).map(part => part.replace(/^_/, '.')).join('/')
    return [path, readFileSync(file, 'utf8')]
  })
}

/** A line whose word is undefined is left out; so is one that ends in `// if word`, and a file where that is a line. */
type Words = Readonly<Record<string, string | undefined>>

function wordsOf ({ name, language, features = [] }: Application, manager: PackageManager): Words {
  const typescript = language === 'ts'
  const audience = `api://${shortName(name)}`
  return {
    ...manager,
    name,
    audience,
    image: shortName(name),
    keyPrefix: keyPrefix(name),
    manifest: `package.json ${manager.lockFile}${manager.name === 'npm' ? ' .npmrc' : ''}`,
    language: typescript ? 'TypeScript' : 'JavaScript',
    extension: language,
    sources: typescript ? 'dist/src' : 'src',
    build: typescript ? `${manager.run} build` : undefined,
    imageInstall: typescript ? manager.clean : manager.cleanProduction,
    tsconfig: typescript ? 'tsconfig.json' : undefined,
    compiledTests: typescript ? 'test' : undefined,
    ...(features.includes('redis') ? {} : { noRedis: '' }),
    ...(features.includes('apiKeys') ? {} : { noApiKeys: '' }),
    ...Object.fromEntries(features.map(name => [name, ''])),
    nodeImage,
    nodeVersion
  }
}

/** `{{word}}`; GitHub's `${{ expression }}` has spaces and stays. */
function fill (path: string, text: string, words: Words): string {
  return text.split('\n').flatMap(line => fillLine(path, line, words) ?? []).join('\n')
}

/** In the comments of each language: `// if redis`, `# if redis`, `<!-- if redis -->`. */
const condition = / *(?:\/\/|#|<!--) if (\w+)(?: -->)?$/

/** A condition with a line of its own is one for the file. */
function isLeftOut (text: string, words: Words): boolean {
  const [, word = ''] = /^(?:\/\/|#|<!--) if (\w+)(?: -->)?$/m.exec(text) ?? []
  return word !== '' && words[word] === undefined
}

function fillLine (path: string, text: string, words: Words): string | undefined {
  const [marker = '', wanted = ''] = condition.exec(text) ?? []
  if (marker !== '' && (marker === text || words[wanted] === undefined)) return undefined
  const line = text.slice(0, text.length - marker.length)
  const named = [...line.matchAll(/\{\{(\w+)\}\}/g)].map(([, word = '']) => word)
  const unknown = named.find(word => !Object.hasOwn(words, word))
  if (unknown !== undefined) throw new Error(`the template ${path} has no value for ${unknown}`)
  if (named.some(word => words[word] === undefined)) return undefined
  return line.replace(/\{\{(\w+)\}\}/g, (_found, word: string) => words[word] ?? '')
}
