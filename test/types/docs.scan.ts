import { fileURLToPath } from 'node:url'
import t from 'tap'
import { pages, snippets, typeErrors } from '../helpers/snippets.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

t.test('every TypeScript block of the pages compiles, and one with a mistake would not', async t => {
  const wrong = {
    page: 'nowhere.md',
    line: 1,
    language: 'ts',
    code: "import secureApi from 'fastify-secure-api'\nawait app.register(secureApi, { cors: { allowedOrigins: [] } })\n"
  }
  const written = pages(root).flatMap(page => snippets(root, page)).filter(({ language }) => language === 'ts')
  t.ok(written.length > 0, 'there are blocks')
  const errors = typeErrors(root, [...written, wrong])
  t.strictSame(errors.filter(error => !error.startsWith('nowhere.md')), [])
  t.match(errors.filter(error => error.startsWith('nowhere.md')), [/^nowhere\.md:2 /])
})
