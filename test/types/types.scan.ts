import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { compile, compilerOptions, type Finding } from './compiler.ts'
import { folder } from './folder.ts'
import { openEditor } from './hover.ts'
import { commonjs, neighbours, open, registered, type Program } from './programs.ts'
// In one process, which makes the declaration files once, and parses those of Fastify and Node once.
import './cost.ts'
import './generated.ts'

/** Each line has a place of its own, so that a declaration in one does not meet that of another. */
function written ({ prelude, right, wrong }: Program): { text: string, lines: string[] } {
  const lines = [...right, ...wrong.map(([line]) => line)]
  return { text: `${prelude}${lines.map(line => `{ ${line} }`).join('\n')}\n`, lines }
}

function check (t: Tap, program: Program, name: string, findings: readonly Finding[]): void {
  const first = program.prelude.split('\n').length
  t.strictSame(findings.filter(({ file, line }) => file !== name || line < first), [],
    'nothing is wrong elsewhere, in declaration files either')
  const at = (index: number) => findings.filter(({ file, line }) => file === name && line === first + index)
  program.right.forEach((line, index) => t.strictSame(at(index), [], line))
  program.wrong.forEach(([line, code, names], index) => {
    const found = at(program.right.length + index)
    t.ok(found.some(finding => finding.code === code && finding.text.includes(names)), `${line} is refused for ${names}`, { found })
  })
}

type Tap = Pick<typeof t, 'ok' | 'strictSame'>

for (const resolution of ['nodenext', 'bundler'] as const) {
  for (const program of resolution === 'nodenext' ? [open, registered, neighbours] : [registered]) {
    t.test(`${program.title}, moduleResolution ${resolution}`, async t => {
      const name = `${resolution}-${[open, registered, neighbours].indexOf(program)}.ts`
      writeFileSync(join(folder, name), written(program).text)
      check(t, program, name, compile(folder, [name], compilerOptions(resolution, { allowImportingTsExtensions: true })))
    })
  }
}

t.test(`${commonjs.title}, moduleResolution nodenext`, async t => {
  writeFileSync(join(folder, 'common.cts'), written(commonjs).text)
  check(t, commonjs, 'common.cts', compile(folder, ['common.cts'], compilerOptions('nodenext')))
})

const editorFile = `import type { FastifyContextConfig, FastifyInstance, FastifyRequest } from 'fastify'
import type * as suite from 'fastify-secure-api'
import type * as testing from 'fastify-secure-api/testing'
type Section<Key extends keyof suite.SecureApiOptions> = Exclude<suite.SecureApiOptions[Key], false | undefined>
type Suite = suite.SecureApiOptions
type Auth = Section<'auth'>
type Issuer = suite.IssuerOptions
type Keys = NonNullable<suite.IssuerOptions['keys']>
type TokenForm = NonNullable<suite.IssuerOptions['tokens']>
type TokenCache = Exclude<Auth['tokenCache'], false | undefined>
type OwnTokens = NonNullable<Auth['ownTokens']>
type Revocation = NonNullable<Auth['revocation']>
type Authorization = Section<'authorization'>
type RateLimit = Section<'rateLimit'>
type Limit = suite.Limit
type Headers = Section<'headers'>
type Hsts = Exclude<Headers['hsts'], false | undefined>
type Reports = suite.ReportsOptions
type RouteHeaders = suite.RouteHeaders
type Cors = Section<'cors'>
type RouteCors = Exclude<suite.RouteCors, false>
type Audit = Section<'audit'>
type Server = suite.SecureServerOptions
type Tls = suite.TlsOptions
type Login = suite.LoginGuardOptions
type Config = FastifyContextConfig
type TestIssuerOptions = testing.TestIssuerOptions
type TestIssuer = testing.TestIssuer
type TestCaller = testing.TestCaller
declare const app: FastifyInstance
declare const request: FastifyRequest
app.get('/', { config: { /*offered*/ } }, async () => '')
app.requireScope/*requireScope*/
app.requireRole/*requireRole*/
app.requirePolicy/*requirePolicy*/
app.authenticate/*authenticate*/
app.secureApi/*secureApi*/
app.rateLimits/*rateLimits*/
app.loginGuard/*loginGuard*/
app.rateLimit/*rateLimit*/
app.createRateLimit/*createRateLimit*/
request.auth/*auth*/
request.authorize/*authorize*/
`

writeFileSync(join(folder, 'editor.ts'), editorFile)
const editor = openEditor(folder, ['editor.ts'], compilerOptions('nodenext'))

t.test('an editor shows a text for every option, every key of config and everything on app and request', async t => {
  for (const [, type = ''] of editorFile.matchAll(/^type (\w+) =/gm)) {
    const members = editor.members('editor.ts', type)
    t.ok(members.size > 0, `${type} has members`)
    t.strictSame([...members].filter(([name, text]) => text === '' && !self.has(name) && !name.startsWith('__@')).map(([name]) => name),
      [], type)
  }
  for (const [marker, name = ''] of editorFile.matchAll(/\/\*(\w+)\*\/$/gm)) t.not(editor.hover('editor.ts', marker), '', name)
})

/** Names that say all there is to say, in types that are no options. */
const self = new Set(['issuer', 'jwksUri', 'audience'])

t.test('an editor offers the keys of config, and none of the misspelt ones', async t => {
  const offered = editor.completions('editor.ts', '/*offered*/')
  t.strictSame(offered.sort(), ['audit', 'authenticated', 'authentication', 'authorization', 'caller', 'cors', 'credential', 'headers',
    'policy', 'public', 'rateLimit', 'role', 'scope'])
})
