import { readFileSync, writeFileSync } from 'node:fs'

/**
 * Before a release: where the project lives is said once, by `repository` and `homepage` (the site of the docs) of package.json. From
 * these come `bugs`, and all three of create-secure-api. npm refuses to sign where a package was built while `repository` is unset.
 */
const files = ['package.json', 'create-secure-api/package.json'].map(name => new URL(`../${name}`, import.meta.url))
const [main] = files.map(file => JSON.parse(readFileSync(file, 'utf8')))
const repository = /^git\+(https:\/\/.+)\.git$/.exec(main.repository?.url ?? '')?.[1]
const missing = [
  repository === undefined && '`repository`: { "type": "git", "url": "git+https://<host>/<owner>/<name>.git" }',
  !/^https:\/\/[^#?]+$/.test(main.homepage ?? '') && '`homepage`: the https address of the documentation, without # and ?'
].filter(Boolean)

if (missing.length > 0) {
  console.error(`package.json does not say where the project lives, so nothing is released. Set\n  ${missing.join('\n  ')}`)
  process.exit(1)
}
for (const file of files) {
  const addresses = { repository: main.repository, homepage: main.homepage, bugs: { url: `${repository}/issues` } }
  writeFileSync(file, `${JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), ...addresses }, null, 2)}\n`)
}
