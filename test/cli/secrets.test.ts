import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { secureApiCommand } from '../../cli/secure-api.ts'
import { fakeTerminal } from './terminal.ts'

const CANARY = 'cAnArY7x-literal-of-the-source-0aB9'
const suite = new URL('../../plugins/index.ts', import.meta.url).href

const own = (secret: string) => `{ ownTokens: { issuer: 'https://api.example.com', audience: 'api://orders', secret: ${secret} } }`

/** What the command says of an application with this `auth`. */
async function call (t: Test, auth: string, ...args: string[]) {
  const cwd = t.testdir({})
  writeFileSync(join(cwd, 'app.mjs'), `import suite from '${suite}'
export default async function app (app) {
  await app.register(suite, { environment: 'development', auth: ${auth}, audit: { sink () {} } })
}
`)
  const { terminal, stdout, stderr } = fakeTerminal({
    cwd, env: { TOKEN_SECRET: `${CANARY}-env`, TOKEN_SECRET_CREATED: '2026-01-01' }
  })
  const exit = await secureApiCommand(['secrets', 'app.mjs', ...args], terminal)
  return { exit, out: stdout(), err: stderr() }
}

const kept = own("{ env: 'TOKEN_SECRET', owner: 'team-a@example.com', rotateEvery: '365000 days' }")
const old = own("{ env: 'TOKEN_SECRET', rotateEvery: '1 day' }")

t.test('the table says where each is, whose it is, how old and when it is due, never what it is', async t => {
  const { exit, out } = await call(t, kept, '--check', '--require-owner')
  t.equal(exit, 0)
  t.match(out, /Option +Source +Owner +Age +Due +Version +State/)
  t.match(out, /auth\.ownTokens\.secret +env TOKEN_SECRET +team-a@example\.com +\d+ d +\d{4}-\d\d-\d\d \(\d+ d\) +good/)
  t.match(out, '1 secret, no findings')
  t.notMatch(out, /canary/i)
})

t.test('JSON and Markdown', async t => {
  const { out } = await call(t, kept, '--json')
  t.match(JSON.parse(out), { secrets: [{ option: 'auth.ownTokens.secret', source: 'env TOKEN_SECRET', findings: [] }] })
  const page = await call(t, old, '--markdown', '--check')
  t.equal(page.exit, 1)
  t.match(page.out, /^# Secrets of `app\.mjs`\n\n1 secret, 1 with findings\.\n\n\| Option \|/)
  t.match(page.out, /\| `auth\.ownTokens\.secret` \| `env TOKEN_SECRET` \|/)
  t.notMatch(out + page.out, /canary/i)
})

t.test('--check exits with 1 for a literal, and for one that is nobody\'s', async t => {
  const literal = await call(t, own(`'${CANARY}'`), '--check')
  t.match(literal, { exit: 1, out: /it is written in the source/ })
  t.notMatch(literal.out, /canary/i)
  const nobodys = await call(t, old, '--check', '--require-owner')
  t.match(nobodys, { exit: 1, out: /should have been replaced \d+ days ago.*nobody looks after it/s })
})

t.test('an application without secrets, and wrong usage', async t => {
  t.match(await call(t, 'false', '--check'), { exit: 0, out: 'The application has no secrets' })
  t.match(await call(t, 'false', '--json', '--markdown'), { exit: 2, err: /choose one/ })
  t.match(await call(t, 'false', '--require-owner'), { exit: 2, err: /--check/ })
})
