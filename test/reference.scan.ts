import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import ts from 'typescript'
import { completion } from '../cli/completion.ts'
import { doctor } from '../cli/doctor.ts'
import { generate } from '../cli/generate.ts'
import { init } from '../cli/init.ts'
import { routes } from '../cli/routes.ts'
import { token } from '../cli/token.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const text = (page: string) => readFileSync(join(root, page), 'utf8')

/** An option that takes one of a few texts. */
interface Choice { readonly of: string, readonly path: string, readonly values: readonly string[] }

/** Where the values of an option stand that has no row in the reference. */
const elsewhere: Readonly<Record<string, string>> = { 'controls.phase': 'docs/own-controls.md' }

/** As the compiler sees them, so that neither the schemas nor the generator of the page are asked. */
function choicesOf (entries: readonly string[]): Choice[] {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), file => ts.sys.readFile(file)) as { config?: object }
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root)
  const program = ts.createProgram(entries.map(entry => join(root, entry)), options)
  const checker = program.getTypeChecker()
  const found: Choice[] = []

  const walk = (type: ts.Type, of: string, path: string, open: readonly ts.Type[]): void => {
    const parts = type.isUnion() ? type.types : [type]
    const values = parts.flatMap(part => part.isStringLiteral() ? [part.value] : [])
    if (values.length > 0) found.push({ of, path, values })
    for (const part of parts) if (!open.includes(part)) into(part, of, path, [...open, part])
  }

  const into = (type: ts.Type, of: string, path: string, open: readonly ts.Type[]): void => {
    if (type.isIntersection()) {
      for (const part of type.types) into(part, of, path, open)
      return
    }
    if ((type.flags & ts.TypeFlags.Object) === 0 || type.getCallSignatures().length > 0) return
    const element = checker.isArrayType(type) ? checker.getIndexTypeOfType(type, ts.IndexKind.Number) : type.getStringIndexType()
    if (element !== undefined) walk(element, of, path, open)
    if (checker.isArrayType(type) || checker.isTupleType(type)) return
    for (const property of type.getProperties().filter(isOurs)) {
      walk(checker.getTypeOfSymbol(property), of, path === '' ? property.name : `${path}.${property.name}`, open)
    }
  }

  for (const entry of entries) {
    const module = checker.getSymbolAtLocation(program.getSourceFile(join(root, entry)) ?? failed(entry))
    for (const exported of checker.getExportsOfModule(module ?? failed(entry))) {
      if (!/Options$|^Limit$|^Route(?!Info|Posture)|^Rule$|^FastifyContextConfig$/.test(exported.name)) continue
      const symbol = (exported.flags & ts.SymbolFlags.Alias) === 0 ? exported : checker.getAliasedSymbol(exported)
      walk(checker.getDeclaredTypeOfSymbol(symbol), exported.name, '', [])
    }
  }
  return found
}

function failed (what: string): never {
  throw new Error(`the compiler knows no ${what}`)
}

/** Members that Fastify, Node or a library has are theirs to document. */
function isOurs (property: ts.Symbol): boolean {
  return (property.declarations ?? []).some(declaration => !declaration.getSourceFile().fileName.includes('/node_modules/'))
}

const bare = (path: string) => path.replaceAll(/\[\]|\.<name>/g, '')
const rows = [...text('docs/reference.md').matchAll(/^\| `([^`]+)` \| .*$/gm)].map(([row, path = '']) => ({ path: bare(path), row }))
const isTail = (whole: string, tail: string) => whole === tail || whole.endsWith(`.${tail}`)

/** The texts that may name the values: rows of that option, in whatever section the type stands. */
function rowsOf (choice: Choice): readonly string[] {
  // The short form of one issuer, and the options of routes by their path.
  const path = choice.path.replace(/^auth\.(?!issuers)(?=tokens|algorithms|profile|callers|introspection)/, 'auth.issuers.')
    .replace(/^(authorization\.)?routes\./, 'config.')
  const page = elsewhere[path]
  if (page !== undefined) return [text(page)]
  return rows.filter(row => isTail(row.path, path) || isTail(path, row.path)).map(({ row }) => row)
}

const names = (row: string, value: string) => [`\`'${value}'\``, `\`${value}\``].some(written => row.includes(written))

t.test('17.8: the reference lists every value of every option that takes one of a few', async t => {
  const choices = choicesOf(['plugins/index.ts', 'testing/index.ts'])
  for (const path of ['auth.issuers.preset', 'rateLimit.policies.algorithm', 'headers.referrerPolicy', 'errors', 'environment', 'count',
    'alg', 'authorization.routes.authorization.phase']) {
    t.ok(choices.some(choice => choice.path === path), `the compiler sees ${path}`)
  }
  for (const choice of choices) {
    const candidates = rowsOf(choice)
    const lacking = candidates.map(row => choice.values.filter(value => !names(row, value))).sort((a, b) => a.length - b.length)
    t.strictSame(lacking[0], [], `${choice.of}: ${choice.path}`)
  }
})

t.test('17.8: the page of the command line lists every value of every option that takes one of a few', async t => {
  const sections = new Map(text('docs/command-line.md').split(/^## /m).map(section => [section.slice(0, section.indexOf('\n')), section]))
  for (const { name, grammar } of [generate, init, routes, token, doctor, completion]) {
    for (const [option, values] of Object.entries(grammar?.values ?? {})) {
      const told = (sections.get(name) ?? '').split('\n').filter(line => line.startsWith('| ') && line.includes(`--${option}`)).join('\n')
      for (const value of values) {
        t.match(told, new RegExp(`(?<![\\w-])${value.replaceAll('+', '\\+')}(?![\\w-])`), `${name} --${option} ${value}`)
      }
    }
  }
})
