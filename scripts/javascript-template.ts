import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { argv } from 'node:process'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const templates = fileURLToPath(new URL('../templates', import.meta.url))

/** Makes templates/app-js from the sources of templates/app-ts. `npm run build` calls it, and the tests of `generate` do. */
export function writeJavaScriptTemplate (): void {
  const [from, to] = [join(templates, 'app-ts'), join(templates, 'app-js')]
  rmSync(to, { recursive: true, force: true })
  for (const name of readdirSync(from, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.ts'))) {
    const file = join(to, name.replace(/ts$/, 'js'))
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, withoutTypes(readFileSync(join(from, name), 'utf8')))
  }
}

/** Replaces the text from `start` to `end`. */
interface Edit {
  readonly start: number
  readonly end: number
  readonly text?: string
}

/**
 * TypeScript without its types, every other character as it was. The compiler's own output loses blank lines and indentation,
 * and this is what a user goes on working with. Knows the syntax that the template uses; a test compares with the compiler.
 */
export function withoutTypes (source: string): string {
  const edits: Edit[] = []
  const visit = (node: ts.Node): void => {
    const own = editsOf(node)
    edits.push(...own)
    ts.forEachChild(node, child => { if (!own.some(({ start, end }) => start <= child.pos && child.end <= end)) visit(child) })
  }
  visit(ts.createSourceFile('source.ts', source, ts.ScriptTarget.Latest, true))
  const inOrder = edits.sort((one, other) => other.start - one.start)
  return inOrder.reduce((text, { start, end, text: instead = '' }) => text.slice(0, start) + instead + text.slice(end), source).trimStart()
}

function editsOf (node: ts.Node): Edit[] {
  if (ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node) ||
    ts.isModuleDeclaration(node)) return [{ start: node.pos, end: node.end }]
  if (ts.isImportDeclaration(node)) return importEdits(node)
  if (ts.isAsExpression(node) || ts.isSatisfiesExpression(node) ||
    ts.isNonNullExpression(node)) return [{ start: node.expression.end, end: node.end }]
  if (ts.isStringLiteral(node) && ts.isCallExpression(node.parent) &&
    node.parent.expression.kind === ts.SyntaxKind.ImportKeyword) return specifierEdits(node)
  if (ts.isArrowFunction(node)) return [...parenthesisEdits(node), ...annotationEdits(node)]
  return annotationEdits(node)
}

interface Typed {
  readonly type?: ts.Node
  readonly typeArguments?: ts.NodeArray<ts.Node>
  readonly typeParameters?: ts.NodeArray<ts.Node>
}

/** `: Type`, and what stands in `<…>`. */
function annotationEdits (node: ts.Node): Edit[] {
  const { type, typeArguments, typeParameters } = node as ts.Node & Typed
  const mark = ts.isParameter(node) ? node.questionToken : undefined
  return [
    ...(type ? [{ start: mark?.pos ?? type.pos - 1, end: type.end }] : []),
    ...[typeArguments, typeParameters].filter(list => list !== undefined).map(({ pos, end }) => ({ start: pos - 1, end: end + 1 }))
  ]
}

/** `(id: string) => …` becomes `id => …`. */
function parenthesisEdits ({ parameters }: ts.ArrowFunction): Edit[] {
  const [only, second] = parameters
  if (only?.type === undefined || second !== undefined || only.initializer !== undefined || only.dotDotDotToken ||
    !ts.isIdentifier(only.name)) return []
  return [{ start: parameters.pos - 1, end: parameters.pos }, { start: parameters.end, end: parameters.end + 1 }]
}

function importEdits ({ pos, end, importClause, moduleSpecifier }: ts.ImportDeclaration): Edit[] {
  if (importClause?.isTypeOnly) return [{ start: pos, end }]
  const specifier = specifierEdits(moduleSpecifier)
  const names = importClause?.namedBindings
  if (names === undefined || !ts.isNamedImports(names)) return specifier
  const kept = names.elements.filter(({ isTypeOnly }) => !isTypeOnly).map(element => element.getText())
  if (kept.length === names.elements.length) return specifier
  if (kept.length > 0) return [...specifier, { start: names.getStart(), end: names.end, text: `{ ${kept.join(', ')} }` }]
  return importClause?.name === undefined ? [{ start: pos, end }] : [...specifier, { start: importClause.name.end, end: names.end }]
}

/** The name of a file of the application, which ends in `.js` there. */
function specifierEdits (specifier: ts.Expression): Edit[] {
  return /^'\..*\.ts'$/.test(specifier.getText()) ? [{ start: specifier.end - 3, end: specifier.end, text: "js'" }] : []
}

if (argv[1] === fileURLToPath(import.meta.url)) writeJavaScriptTemplate()
