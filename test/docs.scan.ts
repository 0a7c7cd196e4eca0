import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { Command } from '../cli/command.ts'
import { usageFindingCodes } from '../cli/audit/report-codes.ts'
import { findingCodes } from '../cli/routes/codes.ts'
import { configurationCodes, environmentVariables } from '../lib/config/index.ts'
import { answers } from '../lib/http/index.ts'
import { phases } from '../lib/pipeline/index.ts'
import { architecturePage, architecturePicture, layersOf, withLines } from '../scripts/architecture-page.ts'
import { errorsPage } from '../scripts/errors-page.ts'
import { frame } from '../scripts/frame.ts'
import { providersPage } from '../scripts/providers-page.ts'
import { referencePage } from '../scripts/reference-page.ts'
import { requestPicture } from '../scripts/request-picture.ts'
import { routeSchema } from '../scripts/route-schema.ts'
import { anchorsOf, brokenLink, linksOf } from './helpers/links.ts'
import { commandCalls, pages, snippets, syntaxErrors, type Snippet } from './helpers/snippets.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const all = pages(root)
const blocks = all.flatMap(page => snippets(root, page))
const inLanguage = (...languages: string[]) => blocks.filter(({ language }) => languages.includes(language))
const text = (page: string) => readFileSync(join(root, page), 'utf8')
/** Shown and not run: the syntax of other systems, for which nothing that could check it is installed. */
const shownOnly = ['csharp', 'http', 'nginx', 'text']
/** What npm does without a script of the project. */
const npmCommands = ['ci', 'create', 'exec', 'init', 'install', 'pack']
/** Codes that are neither answers nor mistakes in the configuration, and variables of the environment. */
const otherNames = new Set([
  'SECURE_API_CONFIGURATION', 'SECURE_API_DENYLIST_FULL', 'SECURE_API_DENYLIST_LOCAL_ONLY', 'SECURE_API_FUNCTION_FAILED',
  'SECURE_API_WARNING', 'SECURE_API_PRIVATE_KEY',
  ...Object.values(environmentVariables).flatMap(name => [name, `${name}_FILE`])
])
const place = ({ page, line }: Snippet) => `${page}:${line}`

t.test('docs/errors.md holds every code of the two tables (otherwise: npm run docs)', async t => {
  t.equal(readFileSync(join(root, 'docs/errors.md'), 'utf8'), errorsPage())
})

t.test('17.8: every code that the source names has its heading in docs/errors.md', async t => {
  const anchors = anchorsOf(text('docs/errors.md'))
  // The last one is a variable of an application that `init` writes.
  const variables = new Set(['SECURE_API_PRIVATE_KEY', ...Object.values(environmentVariables).flatMap(name => [name, `${name}_FILE`])])
  const files = ['lib', 'plugins', 'testing', 'cli'].flatMap(folder =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.ts'))
      .map(name => join(folder, name)))
  const named = files.flatMap(file => [...text(file).matchAll(/(?<!env\[)'(SECURE_API_[A-Z_]*[A-Z])'|^ {2}(SECURE_API_[A-Z_]+):/gm)]
    .map(([, quoted, key = '']) => ({ file, code: quoted ?? key })))
  t.ok(named.length > 200, `${named.length} places`)
  for (const { file, code } of named.filter(({ code }) => !variables.has(code))) t.ok(anchors.has(code.toLowerCase()), `${file}: ${code}`)
})

t.test('docs/providers.md shows every preset and its tokens (otherwise: npm run docs)', async t => {
  t.equal(readFileSync(join(root, 'docs/providers.md'), 'utf8'), providersPage())
})

t.test('docs/architecture.md leads to the line of every function it names, and its picture is that of the code (otherwise: npm run docs)',
  async t => {
    const { controls, schema } = await frame()
    const file = join(root, 'docs/architecture.md')
    t.equal(readFileSync(file, 'utf8'), architecturePage(file))
    t.throws(() => withLines('[`nowhere`](../lib/pipeline/run.ts)', join(root, 'docs')), 'does not define nowhere')
    t.equal(readFileSync(join(root, 'docs/images/architecture.svg'), 'utf8'), architecturePicture(root, phases, controls))
    const circle = [{ name: 'a', uses: ['b'] }, { name: 'b', uses: ['a'] }]
    t.throws(() => layersOf(circle), 'circle among a, b')
    t.equal(readFileSync(join(root, 'docs/route-config.schema.json'), 'utf8'), routeSchema(schema))
  })

t.test('17.9: README shows each phase of a request in its order (otherwise: npm run docs)', async t => {
  t.equal(text('docs/images/request.svg'), requestPicture(phases))
  t.throws(() => requestPicture([...phases].reverse()), /the phases are audit/)
  t.match(text('README.md'), '(docs/images/request.svg)')
})

t.test('17.9: a picture has a ground of its own and asks for nothing outside', async t => {
  for (const picture of readdirSync(join(root, 'docs/images')).filter(name => name.endsWith('.svg'))) {
    t.match(text(`docs/images/${picture}`), 'class="ground"', picture)
    t.notMatch(text(`docs/images/${picture}`).replace('http://www.w3.org/2000/svg', ''), /https?:|url\(|<image|@import/, picture)
  }
})

t.test('every route option that a control declares is in the reference', async t => {
  const page = referencePage(root)
  const { schema } = await frame()
  for (const key of Object.keys(schema.properties ?? {})) t.match(page, new RegExp(`\`config\\.${key}\\b`), key)
})

t.test('docs/reference.md holds every option of the schemas (otherwise: npm run docs)', async t => {
  const page = referencePage(root)
  t.equal(readFileSync(join(root, 'docs/reference.md'), 'utf8'), page)
  for (const option of ['auth.issuers[].audience', 'rateLimit.policies', 'headers.hsts.maxAge', 'cors.origins', 'audit.sink',
    'config.scope']) {
    t.ok(page.includes(`| \`${option}\` |`), option)
  }
})

t.test('every JavaScript block parses, and one with a mistake would not', async t => {
  for (const block of inLanguage('js')) t.strictSame(syntaxErrors(block), [])
  t.not(syntaxErrors({ page: 'nowhere.md', line: 1, language: 'js', code: 'const = 1' }).length, 0)
})

t.test('every JSON block is JSON', async t => {
  for (const block of inLanguage('json')) t.doesNotThrow(() => JSON.parse(block.code), place(block))
})

t.test('every YAML block is YAML', async t => {
  const { parseAllDocuments } = await import('yaml')
  for (const block of inLanguage('yaml')) {
    const documents = parseAllDocuments(block.code)
    t.strictSame([...documents].flatMap(({ errors }) => errors), [], place(block))
  }
  t.not([...parseAllDocuments('a: [')].flatMap(({ errors }) => errors).length, 0, 'one with a mistake is seen')
})

t.test('every npm command of a block exists', async t => {
  const { scripts } = JSON.parse(text('package.json')) as { scripts: Record<string, string> }
  const named = inLanguage('sh').flatMap(block =>
    [...block.code.matchAll(/npm (?:run )?(\w[\w:]*)/g)].map(([, name = '']) => ({ block, name })))
  t.ok(named.some(({ name }) => name === 'demo'))
  for (const { block, name } of named) t.ok(npmCommands.includes(name) || name in scripts, `${place(block)}: npm ${name}`)
})

t.test('every call of secure-api in a block names a command and options that exist', async t => {
  const calls = inLanguage('sh').flatMap(block => commandCalls(block).map(call => ({ block, ...call })))
  t.ok(calls.length > 0, 'there are calls')
  for (const { block, command, flags } of calls) {
    if (command === '') { t.ok(flags.every(flag => ['--help', '--version'].includes(flag)), `${place(block)}: ${flags}`); continue }
    const { usage } = await commandOf(command)
    for (const flag of flags) t.ok(flag === '--help' || usage.includes(flag), `${place(block)}: secure-api ${command} ${flag}`)
  }
  t.strictSame(commandCalls({ page: '', line: 1, language: 'sh', code: 'npx secure-api routes dist/app.js --check \\\n  --nonsense' }),
    [{ command: 'routes', flags: ['--check', '--nonsense'] }])
  await t.rejects(commandOf('nonsense'))
})

t.test('every block has a language that is checked, or is listed as shown only', async t => {
  const checked = ['ts', 'js', 'json', 'yaml', 'sh', ...shownOnly]
  for (const block of blocks) t.ok(checked.includes(block.language), `${place(block)}: ${block.language || 'none'}`)
})

t.test('every test that a page names exists', async t => {
  const named = all.flatMap(page => [...text(page).matchAll(/\]\((?:\.\.\/)+(test\/[^)]+\.ts)\): ([^|).]+)/g)].map(([, file = '',
    title = '']) => ({ page, file, title: title.trim() })))
  t.ok(named.length > 30, `${named.length} tests are named`)
  for (const { page, file, title } of named) {
    t.ok(existsSync(join(root, file)) && text(file).includes(title), `${page}: ${file}: ${title}`)
  }
})

t.test('every code that a page names is in one of the two tables, or is exported', async t => {
  const known = new Set([...Object.keys(answers), ...Object.keys(configurationCodes), ...Object.keys(findingCodes),
    ...Object.keys(usageFindingCodes), ...otherNames])
  for (const page of all) {
    const codes = new Set([...text(page).matchAll(/SECURE_API_[A-Z_]*[A-Z]\b(?!_?…|_?\.\.\.)/g)].map(([code]) => code))
    for (const code of codes) t.ok(known.has(code), `${page}: ${code}`)
  }
})

t.test('every option that a page names is in the reference', async t => {
  const known = new Set([...text('docs/reference.md').matchAll(/^\| `([^`]+)` \|/gm)].map(([, path = '']) =>
    path.replaceAll(/\[\]|\.<name>/g, '')))
  const isKnown = (path: string) => [path, path.replace('auth.', 'auth.issuers.')].some(name => known.has(name))
  t.ok(isKnown('auth.keys.refresh') && isKnown('rateLimit.policies') && !isKnown('cors.allowedOrigins'))
  const sections = ['auth', 'authorization', 'rateLimit', 'headers', 'cors', 'audit', 'openapi', 'health', 'tls']
  const option = new RegExp(`\`((?:${sections.join('|')})(?!\\.test\\b)(?:\\.\\w+)+)(?::[^\`]*)?\``, 'g')
  for (const page of all) {
    const named = new Set([...text(page).matchAll(option)].map(([, path = '']) => path))
    for (const path of named) t.ok(isKnown(path), `${page}: ${path}`)
  }
})

t.test('every link leads somewhere', async t => {
  for (const page of all) {
    for (const link of linksOf(text(page))) t.equal(brokenLink(root, page, link), undefined, `${page}: ${link}`)
  }
})

t.test('what is no link, no file and no heading is seen', async t => {
  t.strictSame(linksOf('[a](b.md) `[c](d.md)`\n```ts\n[e](f.md)\n```\n'), ['b.md'])
  t.ok(brokenLink(root, 'README.md', 'docs/nothing.md'))
  t.ok(brokenLink(root, 'README.md', 'docs/errors.md#nothing'))
  t.ok(brokenLink(root, 'README.md', 'http://example.com'))
  t.equal(brokenLink(root, 'docs/tls.md', 'errors.md#answers'), undefined)
  t.strictSame([...anchorsOf('# `config.rateLimit`, *twice*\n## A\n## A\n')], ['configratelimit-twice', 'a', 'a-1'])
})

t.test('every page is reached from the index', async t => {
  const index = new Set(linksOf(text('docs/README.md')).map(link => join('docs', link.split('#')[0] ?? '')))
  for (const page of all.filter(name => name.startsWith('docs/') && name !== 'docs/README.md')) {
    t.ok(index.has(page) ||
    index.has(dirname(page)), page)
  }
})

t.test('16.11: no line of a page is longer than 140 characters', async t => {
  const others = ['CHANGELOG.md', 'bench/README.md', 'create-secure-api/README.md', 'templates/common/README.md']
  for (const page of [...all, ...others]) t.strictSame(longLines(text(page)), [], page)
  const [long, word] = ['a '.repeat(71), 'a'.repeat(141)]
  t.strictSame(longLines(`| ${long} |\n  ${word}\n${'a'.repeat(140)}\n${long}`), ['4'])
})

/** The numbers of the lines that could be shorter: rows of tables, and words that stand alone (URLs, tokens), cannot. */
function longLines (page: string): string[] {
  return page.split('\n').flatMap((line, index) => line.length > 140 && !/^\s*\||^\s*\S+$/.test(line) ? [String(index + 1)] : [])
}

async function commandOf (name: string): Promise<Command> {
  const module = await import(`../cli/${name}.ts`) as Record<string, Command>
  const command = module[name]
  if (command === undefined) throw new Error(`cli/${name}.ts exports no ${name}`)
  return command
}
