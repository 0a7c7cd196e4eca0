import t from 'tap'
import { secureApiCommand } from '../../cli/secure-api.ts'
import { credentialFault, redisCredentialFault } from '../../cli/doctor/address.ts'
import { fakeTerminal } from './terminal.ts'

t.test('issue 17.7: no command prints a part of a password that breaks its address apart', async t => {
  const cases: ReadonlyArray<readonly [args: string[], env?: Record<string, string>]> = [
    [['doctor', 'redis', 'redis://:p@secret/w#rd@host']],
    [['doctor', 'redis', 'redis://user:sec/ret@host']],
    [['doctor', 'redis', 'redis://:secret#rd@host']],
    [['doctor', 'redis', 'redis://:p@secret?rd@host']],
    [['doctor', 'redis'], { SECURE_API_REDIS_URL: 'redis://:p@secret/w#rd@host' }],
    [['doctor', 'issuer', 'https://user:p@secret/w#rd@host']],
    [['doctor', 'api', 'https://user:p@secret/w@host']],
    [['doctor', 'api', 'htps://user:secret@host']],
    [['doctor', 'redis://:secret@host']],
    [['redis://:secret@host']]
  ]
  for (const [args, env = {}] of cases) {
    const { terminal, stdout, stderr } = fakeTerminal({ env, columns: 400 })
    const code = await secureApiCommand(args, terminal)
    const said = stdout() + stderr()
    t.ok(code > 0, args.join(' '))
    t.notMatch(said.replaceAll('NODE_', ''), /secret|\bret\b|\brd\b/, args.join(' '))
    if (args[1] === 'redis') t.match(said, '%40 for @')
  }
})

t.test('addresses that read as they were meant are left alone', async t => {
  for (const url of ['redis://host', 'redis://host:6379/0', 'rediss://user:p%40ss%2Fw@host:6380/1?family=6', 'redis://:p@ss@host/', 'nonsense']) {
    t.equal(redisCredentialFault(url), undefined, url)
  }
  for (const url of ['https://api.example.com/@scope', 'https://a.example/x?mail=a@b.example', 'https://user:p%2Fw@host/', 'nonsense']) {
    t.equal(credentialFault(url), undefined, url)
  }
})
