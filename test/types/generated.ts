import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import ts from 'typescript'
import { applicationFiles } from '../../cli/generate/files.ts'
import { compile, installPackage } from './compiler.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

const misspelt = [
  ["scope: 'api.read'", "scope: 'api.raed'", 'api.raed'],
  ["authorize('owner'", "authorize('onwer'", 'onwer']
] as const

t.test('issue 17.6: the generated application compiles, and a misspelt scope or policy does not', async t => {
  const folder = t.testdir({})
  installPackage(folder)
  const files = applicationFiles(root, { name: 'my-api', language: 'ts', packageManager: 'npm', features: ['redis', 'openapi', 'apiKeys'] })
  for (const [path, text] of files) write(join(folder, path), text)
  const { config } = ts.readConfigFile(join(folder, 'tsconfig.json'), ts.sys.readFile)
  const { options, fileNames } = ts.parseJsonConfigFileContent(config, ts.sys, folder)
  const names = fileNames.map(name => name.slice(folder.length + 1))
  const settings = { ...options, noEmit: true, typeRoots: [join(root, 'node_modules/@types')] }
  const orders = 'src/routes/orders/index.ts'
  const source = files.get(orders) ?? ''
  // One program for all: the copies with a mistake lie beside the file, where its imports still lead to their modules.
  const wrong = misspelt.map(([right, wrong], index) => {
    t.match(source, right)
    const file = join(dirname(orders), `wrong-${index}.ts`)
    write(join(folder, file), source.replace(right, wrong))
    return file
  })
  const findings = compile(folder, [...names, ...wrong], settings)
  t.strictSame(findings.filter(({ file }) => !wrong.includes(file)), [])
  misspelt.forEach(([, line, name], index) => t.match(findings.find(({ file }) => file === wrong[index])?.text, name, line))
})

function write (file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
}
