import { readFileSync } from 'node:fs'
import ts from 'typescript'

/** One option as its source describes it. */
export interface OptionDoc {
  /** `hsts.maxAge`, `issuers[].keys.refresh`, `policies.<name>.limit`. */
  readonly path: string
  readonly required: boolean
  readonly text: string
  readonly default: string | undefined
}

/**
 * Reads schemas as they are written, because the JSDoc above each property, from which editors and the
 * reference both speak, is gone at run time.
 */
export class SchemaSources {
  readonly #declarations = new Map<string, ts.Expression>()
  readonly #interfaces = new Map<string, ts.NodeArray<ts.TypeElement>>()
  readonly #apart: ReadonlySet<string>

  /** @param apart schemas that have a chapter of their own: where another one uses them, they are not read again */
  constructor (files: readonly string[], apart: ReadonlySet<string>) {
    this.#apart = apart
    for (const file of files) this.#collect(ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.ES2022, true))
  }

  /** Every option of a schema, depth first, in the order of the source; or the members of an interface. */
  options (schema: string): OptionDoc[] {
    const members = this.#interfaces.get(schema)
    if (members !== undefined) return members.flatMap(memberDoc)
    const declared = this.#declarations.get(schema)
    if (declared === undefined) throw new Error(`there is no schema ${schema}`)
    return this.#within(declared, '', new Set())
  }

  #collect (source: ts.SourceFile): void {
    for (const statement of source.statements) {
      if (ts.isInterfaceDeclaration(statement)) this.#interfaces.set(statement.name.text, statement.members)
      if (!ts.isVariableStatement(statement)) continue
      for (const { name, initializer } of statement.declarationList.declarations) {
        if (ts.isIdentifier(name) && initializer !== undefined) this.#declare(name.text, initializer)
      }
    }
  }

  /** Under its file too: private names such as `shared` occur in several. */
  #declare (name: string, initializer: ts.Expression): void {
    this.#declarations.set(name, initializer)
    this.#declarations.set(`${initializer.getSourceFile().fileName}#${name}`, initializer)
  }

  #resolve (name: ts.Identifier): ts.Expression | undefined {
    return this.#declarations.get(`${name.getSourceFile().fileName}#${name.text}`) ?? this.#declarations.get(name.text)
  }

  /** `open` holds the schemas that are being read, so that one that contains itself ends. */
  #within (node: ts.Expression, path: string, open: ReadonlySet<ts.Expression>): OptionDoc[] {
    if (open.has(node)) return []
    const inside = new Set(open).add(node)
    if (ts.isIdentifier(node)) {
      const target = this.#apart.has(node.text) ? undefined : this.#resolve(node)
      return target === undefined ? [] : this.#within(target, path, inside)
    }
    if (ts.isObjectLiteralExpression(node)) return node.properties.flatMap(property => this.#property(property, path, inside))
    if (ts.isArrayLiteralExpression(node)) return node.elements.flatMap(element => this.#within(element, path, inside))
    return ts.isCallExpression(node) ? this.#call(node, path, inside) : []
  }

  #call ({ expression, arguments: [first] }: ts.CallExpression, path: string, open: ReadonlySet<ts.Expression>): OptionDoc[] {
    const kind = expression.getText()
    if (first === undefined) return []
    if (kind === 'Type.Record') return this.#within(first, `${path}.<name>`, open)
    if (kind === 'Type.Array') return this.#within(first, `${path}[]`, open)
    return ['Type.Object', 'Type.Optional', 'Type.Union', 'Type.Unsafe'].includes(kind)
      ? this.#within(first, path, open)
      : []
  }

  #property (property: ts.ObjectLiteralElementLike, path: string, open: ReadonlySet<ts.Expression>): OptionDoc[] {
    if (ts.isSpreadAssignment(property)) return this.#within(property.expression, path, open)
    const name = property.name
    if (name === undefined || !(ts.isIdentifier(name) || ts.isStringLiteral(name))) return []
    const value = ts.isPropertyAssignment(property)
      ? property.initializer
      : ts.isShorthandPropertyAssignment(property)
        ? property.name
        : undefined
    if (value === undefined) return []
    const at = path === '' ? name.text : `${path}.${name.text}`
    return [{ path: at, required: !isOptional(value), ...describe(property) }, ...this.#within(value, at, open)]
  }
}

function memberDoc (member: ts.TypeElement): OptionDoc[] {
  if (!ts.isPropertySignature(member)) return []
  return [{ path: member.name.getText(), required: member.questionToken === undefined, ...describe(member) }]
}

function isOptional (value: ts.Expression): boolean {
  return ts.isCallExpression(value) && value.expression.getText() === 'Type.Optional'
}

function describe (property: ts.ObjectLiteralElementLike | ts.TypeElement): Pick<OptionDoc, 'text' | 'default'> {
  const comments = ts.getJSDocCommentsAndTags(property).filter(ts.isJSDoc)
  const text = comments.map(({ comment }) => ts.getTextOfJSDocComment(comment) ?? '').join(' ')
  const tag = comments.flatMap(({ tags }) => [...tags ?? []]).find(({ tagName }) => tagName.text === 'default')
  const fallback = tag === undefined ? undefined : ts.getTextOfJSDocComment(tag.comment)
  return { text: oneLine(text), default: fallback === undefined ? undefined : oneLine(fallback) }
}

function oneLine (text: string): string {
  return text.replace(/\s+/g, ' ').trim()
}
