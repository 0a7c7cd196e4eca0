import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * What the types cost the compiler: `node bench/types.mjs [rounds] [tsc]` after `npm run build`. The same routes are checked with the suite
 * and on a bare Fastify, in turn; the median of the differences counts. `tsc` is the `lib/tsc.js` of another TypeScript.
 */
const root = fileURLToPath(new URL('..', import.meta.url))
const [, , rounds = '5', tsc = createRequire(import.meta.url).resolve('typescript/lib/tsc.js')] = process.argv
const folder = join(root, '.build/bench-types')
const counts = [1, 50, 200]
const compilerOptions = { noEmit: true, strict: true, skipLibCheck: true, target: 'es2022', module: 'nodenext', types: ['node'] }

const bare = {
  head: "import Fastify from 'fastify'\nconst app = Fastify()\n",
  options: () => ''
}

/** Every kind of rule, and the options of other controls. */
const configs = [
  "scope: 'api.read'", "scope: { all: ['api.read', 'api.write'] }, role: 'admin'", "policy: 'owner', audit: 'orders.read'", 'public: true',
  "authenticated: true, rateLimit: { limit: 5, window: '1 minute' }"
]
const secured = {
  head: `import Fastify from 'fastify'
import secureApi from 'fastify-secure-api'
const app = Fastify()
await app.register(secureApi, { auth: { issuer: 'https://login.example.com', audience: 'api://orders' } })
`,
  options: index => `config: { ${configs[index % configs.length]} }, `
}

try {
  layOut()
  measure()
} finally {
  rmSync(folder, { recursive: true, force: true })
}

function layOut () {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(join(folder, 'node_modules'), { recursive: true })
  symlinkSync(root, join(folder, 'node_modules/fastify-secure-api'))
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n')
  for (const count of counts) {
    for (const [name, program] of Object.entries({ bare, secured })) {
      writeFileSync(join(folder, `${name}-${count}.ts`), written(program, count))
      // Without a project of its own the compiler refuses a file below somebody else's.
      writeFileSync(join(folder, `${name}-${count}.json`), JSON.stringify({ compilerOptions, files: [`${name}-${count}.ts`] }))
    }
  }
}

function written ({ head, options }, count) {
  const schema = "schema: { body: { type: 'object', properties: { item: { type: 'string' } } } }"
  const route = index => `app.post<{ Params: { id: string }, Body: { item: string } }>('/orders${index}/:id',
  { ${options(index)}${schema} },
  async ({ params, body }, reply) => reply.code(201).send({ id: params.id, item: body.item }))\n`
  return head + Array.from({ length: count }, (_, index) => route(index)).join('')
}

function measure () {
  const { version } = JSON.parse(readFileSync(join(tsc, '../../package.json'), 'utf8'))
  console.log(`TypeScript ${version}, Node ${process.version}, ${rounds} rounds; medians, seconds\n`)
  console.log('| routes | check, bare | check, with the suite | difference | whole run, difference | instantiations, difference |')
  console.log('| --- | --- | --- | --- | --- | --- |')
  for (const count of counts) {
    const pairs = Array.from({ length: Number(rounds) }, () => [compiled(`bare-${count}.json`), compiled(`secured-${count}.json`)])
    const of = read => median(pairs.map(read)).toFixed(2)
    console.log(`| ${count} | ${of(([one]) => one.check)} | ${of(([, other]) => other.check)} | ${
      of(([one, other]) => other.check - one.check)} | ${of(([one, other]) => other.total - one.total)} | ${
      median(pairs.map(([one, other]) => other.instantiations - one.instantiations))} |`)
  }
}

function compiled (project) {
  const output = execFileSync(process.execPath, [tsc, '-p', project, '--extendedDiagnostics'], { cwd: folder, encoding: 'utf8' })
  const figure = name => Number(new RegExp(`^${name}:\\s+([\\d.]+)`, 'm').exec(output)?.[1])
  return { check: figure('Check time'), total: figure('Total time'), instantiations: figure('Instantiations') }
}

function median (values) {
  return values.sort((one, other) => one - other)[Math.floor(values.length / 2)]
}
