import { readFileSync, writeFileSync } from 'node:fs'

/** The place of the transcript in the page. */
const place = /(?<=<!-- Made by scripts\/first-contact\.mjs -->\n\n```text\n).*?(?=```)/s

export function writeTranscript (page, outputs) {
  const text = readFileSync(page, 'utf8')
  if (!place.test(text)) throw new Error(`${page} has no place for the transcript`)
  writeFileSync(page, text.replace(place, () => transcript(outputs)))
}

export function compareTranscript (page, outputs) {
  const [written] = place.exec(readFileSync(page, 'utf8')) ?? []
  const made = transcript(outputs)
  if (written === made) return
  throw new Error(`${page} does not show what the commands print (node scripts/first-contact.mjs --lang ts --write):\n${made}`)
}

/** What differs from run to run is left out, and that the package came from a file here. */
function transcript ({ generated, tried }) {
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
