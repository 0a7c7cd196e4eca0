import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import ts from 'typescript'
import { applicationFiles } from '../../cli/generate/files.ts'
import { compile, installPackage } from '../types/compiler.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

// Whole programs are checked: seconds of processor time each.
t.setTimeout(300_000)

t.test('issue 17.6: the generated application compiles, and a misspelt scope or policy does not', async t => {
  const folder = t.testdir({})
  installPackage(folder)
  const files = applicationFiles(root, { name: 'my-api', language: 'ts', packageManager: 'npm', features: ['redis', 'openapi', 'apiKeys'] })
  for (const [path, text] of files) write(join(folder, path), text)
  const { config } = ts.readConfigFile(join(folder, 'tsconfig.json'), ts.sys.readFile)
  const { options, fileNames } = ts.parseJsonConfigFileContent(config, ts.sys, folder)
  const names = fileNames.map(name => name.slice(folder.length + 1))
  const settings = { ...options, noEmit: true, typeRoots: [join(root, 'node_modules/@types')] }
  t.strictSame(compile(folder, names, settings), [])
  const orders = 'src/routes/orders/index.ts'
  const source = files.get(orders) ?? ''
  for (const [right, wrong] of [["scope: 'api.read'", "scope: 'api.raed'"], ["authorize('owner'", "authorize('onwer'"]] as const) {
    t.match(source, right)
    write(join(folder, orders), source.replace(right, wrong))
    const [found] = compile(folder, names, settings)
    t.match(found, { file: orders, text: new RegExp(wrong.replace(/^.*'(?=\w)/, '').replace("'", '')) }, wrong)
  }
})

function write (file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
}
