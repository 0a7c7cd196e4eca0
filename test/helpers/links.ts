import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'

/** Links of a page as they are written; those in code are none. */
export function linksOf (text: string): string[] {
  const prose = text.replace(/^```.*?^```$/gms, '').replace(/`[^`\n]*`/g, code => code.includes('](') ? '' : code)
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target)
}

/** Why a link leads nowhere, or undefined. Of other sites only the form is looked at. */
export function brokenLink (root: string, page: string, link: string): string | undefined {
  if (/^[a-z][a-z+.-]*:/i.test(link)) return isHttps(link) ? undefined : 'not a https URL'
  const [path = '', anchor] = link.split('#', 2)
  const target = path === '' ? page : normalize(join(dirname(page), path))
  const file = join(root, target)
  if (!existsSync(file)) return `there is no ${target}`
  if (anchor === undefined || statSync(file).isDirectory() || !target.endsWith('.md')) return undefined
  return anchorsOf(readFileSync(file, 'utf8')).has(anchor) ? undefined : `${target} has no #${anchor}`
}

function isHttps (link: string): boolean {
  return URL.canParse(link) && new URL(link).protocol === 'https:'
}

/** Anchors of the headings, as GitHub makes them: a second heading of the same name gets `-1`. */
export function anchorsOf (text: string): ReadonlySet<string> {
  const seen = new Map<string, number>()
  const headings = [...text.replace(/^```.*?^```$/gms, '').matchAll(/^#{1,6} (.+)$/gm)].map(([, heading = '']) => slug(heading))
  return new Set(headings.map(name => {
    const before = seen.get(name) ?? 0
    seen.set(name, before + 1)
    return before === 0 ? name : `${name}-${before}`
  }))
}

function slug (heading: string): string {
  const words = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').trim().toLowerCase()
  return words.replace(/[^\p{L}\p{N}\p{M}_ -]/gu, '').replaceAll(' ', '-')
}
