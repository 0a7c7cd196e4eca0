import { fieldsOf, type Fields } from './types.ts'

/** A parameter of find-my-way with its expression, a doubled colon, a wildcard. */
const part = /::|:(\w+)(?:\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\))?|\*/g

/** The path of a route as @fastify/swagger writes it: `/orders/:id(^\d+$)` is `/orders/{id}`. */
export function templateOf (url: string): string {
  return url.replace(part, (found, name?: string) => found === '::' ? ':' : `{${name ?? '*'}}`)
}

/** Base paths of `servers`, which @fastify/swagger removes from the paths of routes. */
export function basePaths (document: Fields): readonly string[] {
  const servers: readonly unknown[] = Array.isArray(document.servers) ? document.servers : []
  return ['', ...servers.flatMap(server => {
    const { url } = fieldsOf(server)
    const path = typeof url === 'string' ? pathOf(url) : '/'
    return path === '/' ? [] : [path]
  })]
}

function pathOf (url: string): string {
  return URL.canParse(url, 'http://base') ? new URL(url, 'http://base').pathname : '/'
}

const methods: ReadonlySet<string> = new Set(['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace', 'query'])

export interface Operation { readonly method: string, readonly path: string, readonly operation: Fields }

/** The paths of the document with every operation mapped by `change`. */
export function mapOperations (document: Fields, change: (operation: Operation) => Fields): Fields {
  const changed = (path: string, operations: Fields, isMethod: (name: string) => boolean) => mapFields(operations, (value, name) => {
    return isMethod(name) ? change({ method: name.toUpperCase(), path, operation: fieldsOf(value) }) : value
  })
  return mapFields(fieldsOf(document.paths), (item, path) => {
    const { additionalOperations, ...rest } = fieldsOf(item)
    const fixed = changed(path, rest, name => methods.has(name))
    if (additionalOperations === undefined) return fixed
    return { ...fixed, additionalOperations: changed(path, fieldsOf(additionalOperations), () => true) }
  })
}

function mapFields (fields: Fields, change: (value: unknown, name: string) => unknown): Fields {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, change(value, name)]))
}
