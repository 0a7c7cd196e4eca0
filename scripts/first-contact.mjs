import { execFile, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import { tryDevelopment, tryProduction } from './first-contact/servers.mjs'
import { compareTranscript, writeTranscript } from './first-contact/transcript.mjs'

/**
 * Tries the package as a stranger would: from its tarball, in an empty folder, generates each application, and uses it.
 * `npm run build` must have been run. `--lang ts` tries one only, `--node 22` runs all of it under another Node.
 * `--check` compares what the two first commands print with docs/getting-started.md, `--write` puts it there.
 */
const root = fileURLToPath(new URL('..', import.meta.url))
const { values } = parseArgs({
  options: {
    lang: { type: 'string' },
    node: { type: 'string' },
    under: { type: 'string' },
    check: { type: 'boolean' },
    write: { type: 'boolean' }
  }
})

/** `npx secure-api generate`, or `npm create secure-api` as npm carries it out. */
const commands = {
  ts: ({ suite }) => ['--package', suite, 'secure-api', 'generate'],
  js: ({ suite, create }) => ['--package', suite, '--package', create, 'create-secure-api']
}

/** One of the two takes API keys too. */
const options = { ts: [], js: ['--auth', 'api-key'] }

if (values.under !== undefined &&
  !process.version.startsWith(`v${values.under}.`)) throw new Error(`this is Node ${process.version}, not ${values.under}`)
if (values.node === undefined) await tryAll(values.lang === undefined ? ['ts', 'js'] : [values.lang])
else process.exitCode = underNode(values.node)

/** npm's package `node` brings its program by an install script, which .npmrc forbids in this project: so from elsewhere. */
function underNode (version) {
  const rest = Object.entries(values).flatMap(([name, value]) => name === 'node'
    ? ['--under', value]
    : value === true
      ? [`--${name}`]
      : [`--${name}`, value])
  const command = `node "${fileURLToPath(import.meta.url)}" ${rest.join(' ')}`
  return spawnSync('npx', ['--yes', '--package', `node@${version}`, '--call', command], { cwd: tmpdir(), stdio: 'inherit' }).status ?? 1
}

async function tryAll (languages) {
  if (!existsSync(join(root, 'dist/cli/main.js'))) throw new Error('dist/cli/main.js is missing: run `npm run build` first')
  const folder = mkdtempSync(join(tmpdir(), 'first-contact-'))
  try {
    const tarballs = { suite: await pack(root, folder), create: await pack(join(root, 'create-secure-api'), folder) }
    // At once: most of the time is the installation, which waits for the network. When one fails, the other is seen to its end.
    const tried = await Promise.allSettled(languages.map(async language => await tryOne(folder, tarballs, language)))
    for (const { status, reason } of tried) if (status === 'rejected') throw reason
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  }
}

async function pack (project, folder) {
  const [{ filename }] = JSON.parse(await output(project, 'npm', 'pack', '--ignore-scripts', '--json', '--pack-destination', folder))
  return join(folder, filename)
}

async function tryOne (folder, tarballs, language) {
  const begun = Date.now()
  const empty = join(folder, language)
  mkdirSync(empty)
  const generated = await output(empty, 'npx', '--yes', ...commands[language](tarballs), 'my-api', '--lang', language, ...options[language])
  const app = join(empty, 'my-api')
  const tried = await output(app, 'npm', 'run', '--silent', 'try')
  process.stdout.write(tried)
  passed(language, `${language === 'ts' ? 'secure-api generate' : 'create-secure-api'}, npm install, npm run try`)
  if (language === 'ts') compare({ generated, tried })
  await output(app, 'npm', 'test')
  passed(language, 'npm test')
  await output(app, 'npm', 'run', 'routes', '--', '--check')
  passed(language, 'npm run routes -- --check')
  await tryDevelopment(app, language)
  passed(language, 'npm run dev')
  await tryProduction(app, options[language])
  passed(language, 'npm start')
  console.log(`${language} under Node ${process.version}: ${Math.round((Date.now() - begun) / 1000)} s`)
}

function compare (outputs) {
  const page = join(root, 'docs/getting-started.md')
  if (values.write) writeTranscript(page, outputs)
  if (values.check) compareTranscript(page, outputs)
}

function passed (language, what) {
  console.log(`ok ${language}: ${what}`)
}

/** What a command prints; what it says on stderr is shown when it fails. */
async function output (cwd, program, ...args) {
  try {
    const running = promisify(execFile)(program, args, { cwd, env: strangersEnvironment(), timeout: 240_000, maxBuffer: 16 * 1024 ** 2 })
    running.child.stdin.end()
    return (await running).stdout
  } catch (error) {
    console.error(`${error.stdout}\n${error.stderr}`)
    throw new Error(`${program} ${args.join(' ')} failed`)
  }
}

/** A stranger has no NODE_ENV, and npm tells nothing of the project that this script belongs to, or of an npx around it. */
function strangersEnvironment () {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => name !== 'NODE_ENV' &&
    !/^npm_(package|lifecycle|command|config_(local_prefix|package|call|yes))/.test(name)))
}
