/** What the router of a server holds under a method and a path. */
export interface Entry {
  readonly methods: readonly string[]
  readonly url: string
  /** Names of the `onRequest` hooks that a request meets, in order. */
  readonly onRequest: readonly string[]
}

interface Open {
  readonly entries: Array<{ methods: string[], url: string, onRequest: string[] }>
  /** The labels from the root to the line at hand; each stands for the next part of the path. */
  readonly path: string[]
}

/** What find-my-way prints where routes have no common beginning. */
const emptyRoot = '(empty root node)'

/**
 * Reads what `app.printRoutes({ includeHooks: true })` prints: the only public word on which hooks a route really has.
 * It is a radix tree: a line is indented by four characters for each level, and its label continues that of its parent.
 */
export function readRouter (printed: string): readonly Entry[] {
  const open: Open = { entries: [], path: [] }
  for (const line of printed.split('\n')) readLine(line, open)
  return open.entries
}

function readLine (line: string, open: Open): void {
  const [, indent = '', rest = ''] = /^((?:│ {3}| {4}|├── |└── )*)(.*)$/u.exec(line) ?? []
  if (rest === '') return
  const hook = /^• \((\w+)\) (\[.*\])$/u.exec(rest)
  if (hook === null) readLabel(indent.length / 4, rest, open)
  else if (hook[1] === 'onRequest') open.entries.at(-1)?.onRequest.push(...names(hook[2] ?? '[]'))
}

function readLabel (depth: number, rest: string, { entries, path }: Open): void {
  const [, label = rest, methods] = /^(.*?)(?: \(([A-Z-]+(?:, [A-Z-]+)*)\)(?: \{.*\})?)?$/u.exec(rest) ?? []
  path.length = Math.max(0, depth - 1)
  path.push(label === emptyRoot ? '' : label)
  if (methods !== undefined) entries.push({ methods: methods.split(', '), url: path.join(''), onRequest: [] })
}

function names (list: string): string[] {
  const parsed: unknown = JSON.parse(list)
  return Array.isArray(parsed) ? parsed.map(name => String(name).replace(/\(\)$/, '')) : []
}
