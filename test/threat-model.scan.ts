import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { asvsChapters } from './fixtures/asvs-5.0.0.ts'
import { brokenLink, linksOf } from './helpers/links.ts'
import { linesUnder, statusProblem, testsIn, titlesIn } from './helpers/threat-model.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const name = 'docs/threat-model.md'
const page = readFileSync(join(root, name), 'utf8')
const top10 = linesUnder('OWASP API Security Top 10, 2023', page)
const asvs = linesUnder('OWASP ASVS 5.0', page)
const chapters = [3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]
const requirements = Object.entries(asvsChapters).flatMap(([chapter, sections]) => sections.flatMap((count, section) =>
  Array.from({ length: count }, (_, at) => `${chapter}.${section + 1}.${at + 1}`)))

t.test('19: each chapter of the ASVS that the page covers is there whole, and no requirement twice', async t => {
  const named = asvs.flatMap(({ ids }) => ids)
  t.equal(requirements.length, 345)
  t.strictSame(named.filter((id, at) => named.indexOf(id) !== at), [], 'twice')
  t.strictSame(named.filter(id => !requirements.includes(id)), [], 'not in the standard')
  const covered = requirements.filter(id => chapters.includes(Number.parseInt(id)))
  t.strictSame(covered.filter(id => !named.includes(id)), [], 'left out')
})

t.test('19: each risk of the API Security Top 10 has its lines, in its order', async t => {
  t.strictSame([...new Set(top10.flatMap(({ ids }) => ids))], Array.from({ length: 10 }, (_, at) => `API${at + 1}`))
})

t.test('19: each line has a status, and what the status asks for', async t => {
  for (const line of [...top10, ...asvs]) {
    t.equal(statusProblem(line), undefined, line.ids.join(', '))
    t.not(line.asks, '')
  }
})

t.test('19: each test that the page names exists under exactly this name', async t => {
  const named = page.split('\n').filter(line => line.startsWith('|')).flatMap(line => testsIn(line.split('|').at(-2)?.trim() ?? ''))
  t.ok(named.length > 200, `${named.length} tests`)
  const titles = new Map([...new Set(named.map(({ file }) => file))].map(file =>
    [file, existsSync(join(root, file)) ? titlesIn(readFileSync(join(root, file), 'utf8')) : new Set()]))
  for (const { file, title } of named) t.ok(titles.get(file)?.has(title), `${file}: ${title}`)
})

t.test('19: each link of the page leads somewhere', async t => {
  for (const link of linksOf(page)) t.equal(brokenLink(root, name, link), undefined, link)
})

t.test('19: what the checks of this page would see', async t => {
  const head = '| requirement | asks | status | shown by |\n| --- | --- | --- | --- |'
  const text = `## A\n${head}\n| 1.1.1–1.1.3, 1.2.1 | x | tested | y |\n## B\n`
  const [line] = linesUnder('A', text)
  if (line === undefined) throw new Error('no line')
  t.strictSame(line.ids, ['1.1.1', '1.1.2', '1.1.3', '1.2.1'])
  t.strictSame(linesUnder('B', text), [])
  t.ok(statusProblem(line), 'tested without a test')
  t.ok(statusProblem({ ...line, status: 'documented' }), 'documented without a link')
  t.ok(statusProblem({ ...line, status: 'partly' }), 'another status')
  t.strictSame(testsIn('[`a`](../test/a.test.ts): one.<br>[`b`](../test/b.test.ts): two'),
    [{ file: 'test/a.test.ts', title: 'one' }, { file: 'test/b.test.ts', title: 'two' }])
  t.strictSame([...titlesIn('t.test(\'it\\\'s\', f)\nt.test(`of ${' + 'name}`, f)')], ["it's", 'of ${' + 'name}'])
})
