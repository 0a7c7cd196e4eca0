import { readFileSync, writeFileSync } from 'node:fs'

/** The place of a transcript in the page. */
const places = {
  ts: /(?<=<!-- Made by scripts\/first-contact\.mjs -->\n\n```text\n).*?(?=```)/s,
  init: /(?<=<!-- Made by scripts\/first-contact\.mjs, init -->\n\n```text\n).*?(?=```)/s
}

export function writeTranscript (page, way, made) {
  const text = readFileSync(page, 'utf8')
  if (!places[way].test(text)) throw new Error(`${page} has no place for the transcript`)
  writeFileSync(page, text.replace(places[way], () => made))
}

export function compareTranscript (page, way, made) {
  const [written] = places[way].exec(readFileSync(page, 'utf8')) ?? []
  if (written === made) return
  throw new Error(`${page} does not show what the commands print (node scripts/first-contact.mjs --lang ${way} --write):\n${made}`)
}

/** What differs from run to run is left out, and that the package came from a file here. */
export function generatedTranscript ({ generated, tried }) {
  const first = generated
    .replace(/^added \d+ packages.*$/m, 'added ... packages')
    .replace(/^It depends on the fastify-secure-api of this machine.*\n/m, '')
    .split('\n').filter((line, index, lines) => line !== '' || lines[index - 1] !== '').join('\n').trim()
  const second = tried.split('\n').filter(line => line !== '' && !line.startsWith('>')).map(line => line.trimEnd()).join('\n')
  return `$ npx --package fastify-secure-api secure-api generate my-api
${first}

$ cd my-api && npm run try
${second}
`
}
