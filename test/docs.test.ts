import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { errorsPage } from '../scripts/errors-page.ts'
import { providersPage } from '../scripts/providers-page.ts'
import { referencePage } from '../scripts/reference-page.ts'
import { pages, snippets, typeErrors, type Snippet } from './helpers/snippets.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const all = pages(root)
const blocks = all.flatMap(page => snippets(root, page))
const inLanguage = (...languages: string[]) => blocks.filter(({ language }) => languages.includes(language))
const place = ({ page, line }: Snippet) => `${page}:${line}`

t.test('docs/errors.md holds every code of the two tables (otherwise: npm run docs)', async t => {
  t.equal(readFileSync(join(root, 'docs/errors.md'), 'utf8'), errorsPage())
})

t.test('docs/providers.md shows every preset and its tokens (otherwise: npm run docs)', async t => {
  t.equal(readFileSync(join(root, 'docs/providers.md'), 'utf8'), providersPage())
})

t.test('docs/reference.md holds every option of the schemas (otherwise: npm run docs)', async t => {
  const page = referencePage(root)
  t.equal(readFileSync(join(root, 'docs/reference.md'), 'utf8'), page)
  for (const option of ['auth.issuers[].audience', 'rateLimit.policies', 'headers.hsts.maxAge', 'cors.origins', 'audit.sink', 'config.scope']) {
    t.ok(page.includes(`| \`${option}\` |`), option)
  }
})

t.test('every TypeScript block compiles, and one with a mistake would not', async t => {
  const wrong = { page: 'nowhere.md', line: 1, language: 'ts', code: "import secureApi from 'fastify-secure-api'\nawait app.register(secureApi, { cors: { allowedOrigins: [] } })\n" }
  const written = inLanguage('ts')
  t.ok(written.length > 0, 'there are blocks')
  const errors = typeErrors(root, [...written, wrong])
  t.strictSame(errors.filter(error => !error.startsWith('nowhere.md')), [])
  t.match(errors.filter(error => error.startsWith('nowhere.md')), [/^nowhere\.md:2 /])
})

t.test('every JSON block is JSON', async t => {
  for (const block of inLanguage('json')) t.doesNotThrow(() => JSON.parse(block.code), place(block))
})

t.test('every npm command of a block exists', async t => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> }
  const named = inLanguage('sh').flatMap(block => [...block.code.matchAll(/npm (?:run )?(\w[\w:]*)/g)].map(([, name = '']) => ({ block, name })))
  t.ok(named.some(({ name }) => name === 'demo'))
  for (const { block, name } of named) t.ok(['ci', 'install', 'pack'].includes(name) || name in scripts, `${place(block)}: npm ${name}`)
})

t.test('every block has a language that is checked', async t => {
  for (const block of blocks) t.ok(['ts', 'json', 'sh', 'http', 'text'].includes(block.language), `${place(block)}: ${block.language}`)
})

t.test('every test that a page names exists', async t => {
  const named = all.flatMap(page => [...readFileSync(join(root, page), 'utf8').matchAll(/\]\(\.\.\/(test\/[^)]+\.ts)\): ([^|).]+)/g)].map(([, file = '', title = '']) => ({ page, file, title: title.trim() })))
  t.ok(named.length > 30, `${named.length} tests are named`)
  for (const { page, file, title } of named) {
    t.ok(existsSync(join(root, file)) && readFileSync(join(root, file), 'utf8').includes(title), `${page}: ${file}: ${title}`)
  }
})

t.test('every link to a file leads somewhere', async t => {
  for (const page of all) {
    const text = readFileSync(join(root, page), 'utf8')
    for (const [, target = ''] of text.matchAll(/\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)/g)) {
      t.ok(existsSync(join(root, dirname(page), target)), `${page}: ${target}`)
    }
  }
})
