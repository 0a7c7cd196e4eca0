import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

export const root = fileURLToPath(new URL('../..', import.meta.url))

/** Lays the package out in `folder` as npm would: its package.json, and the declaration files of this source. */
export function installPackage (folder: string): void {
  const target = join(folder, 'node_modules/fastify-secure-api')
  write(join(target, 'package.json'), readFileSync(join(root, 'package.json'), 'utf8'))
  emitted ??= declarations()
  for (const [name, text] of emitted) write(join(target, 'dist', name), text)
}

/** Made once a process: eight seconds of processor time. */
let emitted: ReadonlyMap<string, string> | undefined

function declarations (): Map<string, string> {
  const files = new Map<string, string>()
  const { config } = ts.readConfigFile(join(root, 'tsconfig.build.json'), ts.sys.readFile)
  const { options } = ts.parseJsonConfigFileContent({ ...config, include: [], files: ['plugins/index.ts', 'testing/index.ts'] }, ts.sys,
    root)
  const program = ts.createProgram([join(root, 'plugins/index.ts'), join(root, 'testing/index.ts')],
    { ...options, declaration: true, emitDeclarationOnly: true, noCheck: true, outDir: '/dist' })
  program.emit(undefined, (name, text) => { files.set(relative('/dist', name), text) })
  return files
}

function write (file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
}

export type Resolution = 'nodenext' | 'bundler'

export function compilerOptions (resolution: Resolution, more: ts.CompilerOptions = {}): ts.CompilerOptions {
  const kinds: Record<Resolution, ts.CompilerOptions> = {
    nodenext: { module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext },
    bundler: { module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler }
  }
  return {
    ...kinds[resolution],
    target: ts.ScriptTarget.ES2022,
    strict: true,
    exactOptionalPropertyTypes: true,
    lib: ['lib.es2023.d.ts'],
    noEmit: true,
    skipLibCheck: false,
    types: ['node'],
    typeRoots: [join(root, 'node_modules/@types')],
    ...more
  }
}

/** A mistake that the compiler found: in which file, on which line (from 1), and what it says. */
export interface Finding {
  readonly file: string
  readonly line: number
  readonly code: number
  readonly text: string
}

const sources = new Map<string, ts.SourceFile | undefined>()

/** Compiles the files of `folder` by name. The declaration files of the package, of Fastify and of its official plugins are checked too. */
export function compile (folder: string, files: readonly string[], options: ts.CompilerOptions): Finding[] {
  return checked(programOf(folder, files, options), folder).map(({ file, start = 0, code, messageText }) => ({
    file: file === undefined ? '' : relative(folder, file.fileName),
    line: file === undefined ? 0 : file.getLineAndCharacterOfPosition(start).line + 1,
    code,
    text: ts.flattenDiagnosticMessageText(messageText, '\n')
  }))
}

/** How many types TypeScript makes out of generic ones to check this file alone: a cost that is the same on every machine. */
export function instantiationsOf (folder: string, file: string, options: ts.CompilerOptions): number {
  const program = programOf(folder, [file], options)
  const [mistake] = program.getSemanticDiagnostics(program.getSourceFile(join(folder, file)))
  if (mistake !== undefined) throw new Error(ts.flattenDiagnosticMessageText(mistake.messageText, '\n'))
  return program.getInstantiationCount()
}

function programOf (folder: string, files: readonly string[], options: ts.CompilerOptions): ts.Program {
  const host = ts.createCompilerHost(options)
  const parse = host.getSourceFile
  // The declaration files of Fastify and Node are the same in every program.
  host.getSourceFile = (name, settings, ...rest) => {
    const id = `${typeof settings === 'object' ? String(settings.impliedNodeFormat) : ''} ${name}`
    if (!name.startsWith(folder) && sources.has(id)) return sources.get(id)
    const file = parse(name, settings, ...rest)
    if (!name.startsWith(folder)) sources.set(id, file)
    return file
  }
  return ts.createProgram(files.map(name => join(folder, name)), options, host)
}

function checked (program: ts.Program, folder: string): readonly ts.Diagnostic[] {
  const official = [join(root, 'node_modules/@fastify'), join(root, 'node_modules/fastify/')]
  const files = program.getSourceFiles().filter(({ fileName }) => [folder, ...official].some(path => fileName.startsWith(path)))
  return [...program.getOptionsDiagnostics(), ...program.getGlobalDiagnostics(),
    ...files.flatMap(file => [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)])]
}
