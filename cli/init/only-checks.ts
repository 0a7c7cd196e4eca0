import { is, type Token } from './tokens.ts'

/** `await request.jwtVerify()`, or its promise as the result: what is not awaited refuses nobody. */
const check = '(?:return await|return|await) (?<request>[\\w$]+) \\. jwtVerify \\( \\)(?: ;)?'
const alone = new RegExp(`^${check}$`)
const tried = new RegExp(`^try \\{ ${check} \\} catch (?:\\( [\\w$]+ \\) )?\\{ (?<refusal>.+) \\}$`)
const expression = /^(?:await )?(?<request>[\w$]+) \. jwtVerify \( \)$/

/**
 * Whether a function does nothing but check the token, so that the suite can take its place. A role that it looks at,
 * a way around it and whatever is not known would be lost with it: then it is not.
 */
export function onlyChecksToken (tokens: readonly Token[]): boolean {
  const parts = partsOf(tokens)
  if (parts === undefined) return false
  const text = textOf(parts.body)
  const { request, refusal } = (parts.block ? alone.exec(text) ?? tried.exec(text) : expression.exec(text))?.groups ?? {}
  if (request === undefined || request !== parts.parameters[0]) return false
  return refusal === undefined || refuses(parts.body, parts.parameters[1])
}

interface Parts {
  readonly parameters: readonly string[]
  readonly block: boolean
  readonly body: readonly Token[]
}

/** The parameters and the body of a function in brackets: `(async (request, reply) => { … })`. */
function partsOf (tokens: readonly Token[]): Parts | undefined {
  const inner = tokens.slice(1, -1)
  const arrow = inner.findIndex(token => is(token, '=>'))
  const close = inner.findIndex(token => is(token, ')'))
  const from = inner.findIndex(token => is(token, '('))
  const isPlain = arrow !== -1 && arrow <= (is(inner[0], 'async') ? 2 : 1)
  const parameters = isPlain ? inner.slice(arrow - 1, arrow) : inner.slice(from + 1, close)
  const start = isPlain ? arrow + 1 : is(inner[close + 1], '=>') ? close + 2 : close + 1
  if (!parameters.every(token => token.type === 'IdentifierName' || is(token, ','))) return undefined
  const block = is(inner[start], '{') && is(inner.at(-1), '}')
  const names = parameters.filter(token => !is(token, ',')).map(({ value }) => value)
  return { parameters: names, block, body: block ? inner.slice(start + 1, -1) : inner.slice(start) }
}

function textOf (tokens: readonly Token[]): string {
  return tokens.map(({ value }) => value).join(' ')
}

const undecided: ReadonlySet<string> = new Set(['if', 'for', 'while', 'do', 'switch', 'try', 'function', '=>', '?', '&&', '||', '??'])

/** Whether what stands after `catch` always refuses: no branch, nobody else who is asked, and an error at its end. */
function refuses (body: readonly Token[], reply: string | undefined): boolean {
  const at = body.findIndex(token => is(token, 'catch'))
  const rest = body.slice(body.findIndex((token, index) => index > at && is(token, '{')) + 1, -1)
  let depth = 0
  for (const [index, token] of rest.entries()) {
    if (is(token, '{')) depth++
    if (is(token, '}') && --depth < 0) return false
    if (undecided.has(token.value) && token.type !== 'StringLiteral') return false
    if (is(token, 'await') && !is(rest[index + 1], reply ?? '')) return false
    if (is(token, 'return') && !is(rest[index + 1], reply ?? '') && !is(rest[index + 1], 'await')) return false
  }
  return rest.some(token => is(token, 'throw')) || (rest.some(token => is(token, 'send')) && rest.some(token => is(token, reply ?? '')))
}
