import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitepress'
import { contents } from './contents.ts'
import { anchorOf, sourceLinks } from './links.ts'

const docs = fileURLToPath(new URL('..', import.meta.url))
const { description, repository, homepage } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as
  { description: string, repository?: { url: string }, homepage?: string }
const { sections } = contents(readFileSync(new URL('../README.md', import.meta.url), 'utf8'))

const shield = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><path fill="#0969da" d="M8 0l6 2v5c0 4-2.5 7-6 9C4.5 14 2 11 2 7V2z"/></svg>'

/** The pages of this folder as a site: `npm run site`. What is in it, and in which order, docs/README.md says. */
export default defineConfig({
  title: 'fastify-secure-api',
  description,
  lang: 'en',
  base: homepage === undefined ? '/' : new URL(homepage).pathname.replace(/\/*$/, '/'),
  srcDir: docs,
  outDir: `${docs}/../.build/site`,
  cacheDir: `${docs}/../.build/site-cache`,
  rewrites: { 'README.md': 'index.md' },
  head: [['link', { rel: 'icon', type: 'image/svg+xml', href: `data:image/svg+xml,${encodeURIComponent(shield)}` }]],
  cleanUrls: true,
  metaChunk: true,
  // Any other dead link ends the build.
  ignoreDeadLinks: 'localhostLinks',
  // The site asks nobody else for anything: fonts of the system, search in the browser.
  themeConfig: {
    search: { provider: 'local' },
    outline: [2, 3],
    nav: [
      { text: 'Getting started', link: '/getting-started' },
      { text: 'Options', link: '/reference' },
      { text: 'Codes', link: '/errors' }
    ],
    sidebar: sections
  },
  markdown: {
    anchor: { slugify: anchorOf },
    config: markdown => { markdown.use(sourceLinks, repository?.url) }
  }
})
