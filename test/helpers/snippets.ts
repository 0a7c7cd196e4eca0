import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'

/** A code block of a page. */
export interface Snippet {
  readonly page: string
  readonly line: number
  /** Empty where the block names none. */
  readonly language: string
  readonly code: string
}

/** README.md and every page under docs/. */
export function pages (root: string): string[] {
  const docs = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.md'))
  return ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', ...docs.sort().map(name => join('docs', name))]
}

export function snippets (root: string, page: string): Snippet[] {
  const text = readFileSync(join(root, page), 'utf8')
  return [...text.matchAll(/^```([^\n]*)\n(.*?)^```$/gms)].map(({ index, 1: language = '', 2: code = '' }) => ({
    page, line: text.slice(0, index).split('\n').length + 1, language, code
  }))
}

/** What a block may use without declaring it, as in an application that is already there. */
const surroundings = `
import type { FastifyInstance, RouteHandlerMethod } from 'fastify'
import type { SecureApiOptions } from 'fastify-secure-api'
declare global {
  const app: FastifyInstance
  const handler: RouteHandlerMethod
  const options: SecureApiOptions
}
`

/** What the compiler says of the TypeScript blocks, each as a module of its own in a project that has the package. */
export function typeErrors (root: string, blocks: readonly Snippet[]): string[] {
  const [together, apart] = [blocks.filter(block => !augments(block)), blocks.filter(augments)]
  const common = check(root, together)
  return [...common.errors, ...apart.flatMap(block => check(root, [block], common.program).errors)]
}

/** An augmentation counts for its whole program: narrower scopes of one page would be mistakes on all others. */
function augments ({ code }: Snippet): boolean {
  return /^declare module/m.test(code)
}

function check (root: string, blocks: readonly Snippet[], before?: ts.Program): { program: ts.Program, errors: string[] } {
  const sources = new Map(blocks.map((block, index) => [join(root, `snippet-${index}.ts`), `${block.code}\nexport {}\n`]))
  sources.set(join(root, 'snippet-surroundings.ts'), surroundings)
  const packages = join(root, 'test/fixtures/vault-sdks.d.ts')
  const program = ts.createProgram([packages, ...sources.keys()], optionsOf(root), hostOf(root, sources), before)
  const errors = [...sources.keys()].flatMap((name, index) => diagnosticsOf(program, name).map(({ start, messageText, file }) => {
    const line = (blocks[index]?.line ?? 0) + (file?.getLineAndCharacterOfPosition(start ?? 0).line ?? 0)
    return `${blocks[index]?.page ?? 'surroundings'}:${line} ${ts.flattenDiagnosticMessageText(messageText, '\n')}`
  }))
  return { program, errors }
}

function diagnosticsOf (program: ts.Program, name: string): readonly ts.Diagnostic[] {
  const file = program.getSourceFile(name)
  return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)]
}

function optionsOf (root: string): ts.CompilerOptions {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile)
  config.compilerOptions.paths = { 'fastify-secure-api': ['./plugins/index.ts'], 'fastify-secure-api/testing': ['./testing/index.ts'] }
  config.compilerOptions.noUnusedLocals = false
  // Nest's decorators are those before the standard.
  config.compilerOptions.experimentalDecorators = true
  return ts.parseJsonConfigFileContent({ ...config, include: [], files: ['plugins/index.ts'] }, ts.sys, root).options
}

function hostOf (root: string, sources: ReadonlyMap<string, string>): ts.CompilerHost {
  const host = ts.createCompilerHost(optionsOf(root))
  const { readFile, fileExists } = host
  host.readFile = name => sources.get(name) ?? readFile.call(host, name)
  host.fileExists = name => sources.has(name) || fileExists.call(host, name)
  return host
}

/** What a parser says of JavaScript blocks: they show code of other packages, which are not installed here. */
export function syntaxErrors (block: Snippet): string[] {
  const { diagnostics = [] } = ts.transpileModule(block.code,
    {
      reportDiagnostics: true,
      fileName: 'snippet.mjs',
      compilerOptions: { allowJs: true, module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 }
    })
  return diagnostics.map(({ messageText }) => `${block.page}:${block.line} ${ts.flattenDiagnosticMessageText(messageText, '\n')}`)
}

/** Calls of the command in a block of shell lines: its name, and the options that are given to it. */
export function commandCalls (block: Snippet): Array<{ command: string, flags: string[] }> {
  const lines = block.code.replaceAll('\\\n', ' ').split('\n')
  return lines.flatMap(line => [...line.matchAll(/(?<![\w/.@-])secure-api(?: (?!-)(\w+))?((?: [^|;&#)]*)?)/g)])
    .map(([, command = '', rest = '']) => ({ command, flags: [...rest.matchAll(/(?<=\s)--[\w-]+/g)].map(([flag]) => flag) }))
}
