import { posix } from 'node:path'

/** What this needs of markdown-it, which brings no types of its own. */
interface Token {
  readonly type: string
  hidden?: boolean
  tag: string
  children: Token[] | null
  attrGet (name: string): string | null
  attrSet (name: string, value: string): void
  attrs: unknown
}

interface Environment {
  readonly relativePath?: string
}

interface Markdown {
  readonly core: { readonly ruler: { push (name: string, rule: (state: { tokens: Token[], env: Environment }) => void): void } }
}

/**
 * Links that leave this folder lead to the source: to the repository where package.json names one, and nowhere where it does not.
 * In an editor or a repository's browser they work as they are written.
 */
export function sourceLinks (markdown: Markdown, repository: string | undefined): void {
  markdown.core.ruler.push('source-links', ({ tokens, env }) => {
    const page = env.relativePath === 'index.md' ? 'README.md' : env.relativePath ?? ''
    for (const { children } of tokens) mend(children ?? [], page, repository)
  })
}

function mend (children: Token[], page: string, repository: string | undefined): void {
  let dropped = false
  for (const token of children) {
    if (token.type === 'link_open') dropped = redirected(token, page, repository)
    if (!dropped) continue
    if (token.type === 'link_open' || token.type === 'link_close') unlink(token)
    if (token.type === 'link_close') dropped = false
  }
}

/** Whether the link has no place to lead to. */
function redirected (token: Token, page: string, repository: string | undefined): boolean {
  const target = token.attrGet('href') ?? ''
  if (/^[a-z][a-z+.-]*:|^#/i.test(target)) return false
  const path = posix.normalize(posix.join('docs', posix.dirname(page), target))
  if (path.startsWith('docs/') && /\.(md|svg|png|json)(#|$)/.test(path)) return false
  if (repository === undefined) return true
  token.attrSet('href', `${repository.replace(/^git\+|\.git$/g, '')}/blob/main/${path}`)
  return false
}

function unlink (token: Token): void {
  token.tag = 'span'
  token.attrs = null
}

/** The anchor of a heading as GitHub makes it, so that one link serves both. */
export function anchorOf (heading: string): string {
  return heading.trim().toLowerCase().replace(/[^\p{L}\p{N}\p{M}_ -]/gu, '').replaceAll(' ', '-')
}
