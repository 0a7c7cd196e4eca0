import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { root } from './compiler.ts'

/** What an editor shows for the name at the end of `text`, and what it offers there. */
export interface Editor {
  /** The documentation of each member of a type, by name; empty where there is none. */
  members (file: string, type: string): ReadonlyMap<string, string>
  /** The names that are offered at the first `marker` of the file. */
  completions (file: string, marker: string): string[]
  /** The text that appears over the name before the first `marker`. */
  hover (file: string, marker: string): string
}

/** A language service over the files of a folder, as editors run it. */
export function openEditor (folder: string, files: readonly string[], options: ts.CompilerOptions): Editor {
  const service = ts.createLanguageService({
    getCompilationSettings: () => options,
    getScriptFileNames: () => files.map(name => join(folder, name)),
    getScriptVersion: () => '1',
    getScriptSnapshot: name => ts.sys.fileExists(name) ? ts.ScriptSnapshot.fromString(readFileSync(name, 'utf8')) : undefined,
    getCurrentDirectory: () => root,
    getDefaultLibFileName: ts.getDefaultLibFilePath,
    fileExists: ts.sys.fileExists,
    readFile: ts.sys.readFile,
    readDirectory: ts.sys.readDirectory,
    directoryExists: ts.sys.directoryExists,
    getDirectories: ts.sys.getDirectories
  })
  const at = (file: string, marker: string) => readFileSync(join(folder, file), 'utf8').indexOf(marker)
  return {
    members: (file, type) => membersOf(service, join(folder, file), type),
    completions: (file, marker) => service.getCompletionsAtPosition(join(folder, file), at(file, marker),
      undefined)?.entries.map(({ name }) => name) ?? [],
    hover: (file, marker) => ts.displayPartsToString(service.getQuickInfoAtPosition(join(folder, file),
      at(file, marker) - 1)?.documentation)
  }
}

function membersOf (service: ts.LanguageService, file: string, type: string): ReadonlyMap<string, string> {
  const program = service.getProgram()
  const source = program?.getSourceFile(file)
  if (program === undefined || source === undefined) throw new Error(`there is no ${file}`)
  const checker = program.getTypeChecker()
  const alias = source.statements.find(statement => ts.isTypeAliasDeclaration(statement) && statement.name.text === type)
  if (alias === undefined) throw new Error(`there is no type ${type}`)
  const found = checker.getTypeAtLocation(alias)
  const parts = found.isUnion() ? found.types : [found]
  return new Map(parts.flatMap(part => checker.getPropertiesOfType(part)).map(member => [member.name,
    ts.displayPartsToString(member.getDocumentationComment(checker)) +
    member.getJsDocTags(checker).map(({ name }) => ` @${name}`).join('')]))
}
