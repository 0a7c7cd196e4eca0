export interface Section {
  readonly text: string
  readonly collapsed: boolean
  readonly items: ReadonlyArray<{ readonly text: string, readonly link: string }>
}

/** The side bar: each heading of docs/README.md, with the pages that it links to. */
export function contents (readme: string): { sections: Section[] } {
  const [intro = '', ...parts] = readme.split(/^## /m)
  const sections = parts.map(part => {
    const [heading = '', ...body] = part.split('\n')
    return { text: heading, collapsed: false, items: pagesOf(body.join('\n')) }
  })
  return { sections: [{ text: 'Begin', collapsed: false, items: pagesOf(intro) }, ...sections] }
}

function pagesOf (text: string): Section['items'] {
  const links = [...text.matchAll(/\[([^\]]+)\]\(([\w/-]+)\.md\)/g)]
  return links.map(([, name = '', page = '']) => ({ text: `${name.charAt(0).toUpperCase()}${name.slice(1)}`, link: `/${page}` }))
}
