import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { secureApiCommand } from '../../cli/secure-api.ts'
import { fakeTerminal } from './terminal.ts'

async function call (...args: string[]) {
  const { terminal, stdout, stderr } = fakeTerminal()
  return { code: await secureApiCommand(args, terminal), stdout: stdout(), stderr: stderr() }
}

/** What bash proposes at the end of a line, by its own `compgen`. */
function proposed (line: readonly string[], cwd: string): string[] {
  const words = line.map(word => `'${word}'`).join(' ')
  const program = `. ./completion.bash\nCOMP_WORDS=(${words}) COMP_CWORD=${line.length - 1}\n_secure_api\nprintf '%s\\n' "\${COMPREPLY[@]}"`
  return execFileSync('bash', ['--norc', '-c', program], { cwd, encoding: 'utf8' }).split('\n').filter(word => word !== '')
}

t.test('issue 17.7: bash completes commands, subcommands, options, their values and files', async t => {
  const { code, stdout } = await call('completion', 'bash')
  t.equal(code, 0)
  const cwd = t.testdir({})
  mkdirSync(join(cwd, 'folder'))
  for (const [name, text] of [['completion.bash', stdout], ['an app.js', '']] as const) writeFileSync(join(cwd, name), text)
  const cases: ReadonlyArray<readonly [line: string[], words: string[]]> = [
    [['secure-api', 'gen'], ['generate']],
    [['secure-api', '--v'], ['--version']],
    [['secure-api', 'doctor', ''], ['issuer', 'redis', 'api', 'token', '--json', '--help']],
    [['secure-api', 'doctor', 're'], ['redis']],
    [['secure-api', 'doctor', 'redis', '--'], ['--key-prefix', '--json', '--help']],
    [['secure-api', 'doctor', 'token', '--profile', ''], ['at+jwt', 'any']],
    [['secure-api', 'doctor', 'token', '--profile', '=', 'an'], ['any']],
    [['secure-api', 'generate', '--la'], ['--lang']],
    [['secure-api', 'generate', '--lang', '='], ['ts', 'js']],
    [['secure-api', 'generate', 'x', '--package-manager', 'p'], ['pnpm']],
    [['secure-api', 'routes', 'an'], ['an app.js']],
    [['secure-api', 'routes', 'x.js', '--check', '--fail-on', ''], ['error', 'warning', 'note']],
    [['secure-api', 'routes', 'x.js', '--env', 'comp'], ['completion.bash']],
    [['secure-api', 'routes', 'x.js', '--timeout', ''], []],
    [['secure-api', 'token', 'list', '--'], ['--directory', '--json', '--help']],
    [['secure-api', 'token', '--kind', 's'], ['service']],
    [['secure-api', 'token', '-o', ''], ['token', 'json', 'header']],
    [['secure-api', 'secrets', 'an'], ['an app.js']],
    [['secure-api', 'secrets', 'x.js', '--re'], ['--require-owner']],
    [['secure-api', 'key', 'r'], ['rotate', 'revoke']],
    [['secure-api', 'key', 'list', '--'], ['--file', '--json', '--help']],
    [['secure-api', 'key', 'check', '--file', 'comp'], ['completion.bash']],
    [['secure-api', 'audit', 'r'], ['report']],
    [['secure-api', 'audit', 'report', '--format', ''], ['table', 'json', 'markdown', 'html']],
    [['secure-api', 'audit', 'report', 'an'], ['an app.js']],
    [['secure-api', 'completion', ''], ['bash', 'zsh', 'fish', '--help']]
  ]
  for (const [line, words] of cases) t.strictSame(proposed(line, cwd), words, line.join(' '))
})

t.test('zsh and fish get the same words', async t => {
  const [zsh, fish] = await Promise.all(['zsh', 'fish'].map(async shell => (await call('completion', shell)).stdout))
  for (const name of ['generate', 'routes', 'token', 'doctor', 'completion', 'issuer', 'fail-on', 'key-prefix', 'pnpm']) {
    t.match(zsh, name)
    t.match(fish, name)
  }
  t.match(zsh, /^#compdef secure-api\n/)
  t.match(fish, /test "\$typed\[2\]" = routes' -l output -s o -r -F\n/)
})

t.test('a shell that is none', async t => {
  for (const args of [[], ['powershell'], ['bash', 'zsh']]) {
    t.match(await call('completion', ...args), { code: 2, stderr: /bash, zsh, fish/ })
  }
  t.match(await call('completion', 'bsh'), { code: 2, stderr: /did you mean bash\?/ })
})
