import t from 'tap'
import { isDirect } from '../../../lib/keys/route.ts'

t.test('15 A6: NO_PROXY as curl and Go read it', async t => {
  const cases: ReadonlyArray<readonly [noProxy: string, url: string, direct: boolean]> = [
    ['', 'https://login.example.com', false],
    ['', 'https://localhost:8443', true],
    ['', 'https://127.9.9.9', true],
    ['', 'https://[::1]', true],
    ['', 'https://keys.localhost', true],
    ['*', 'https://login.example.com', true],
    ['example.com', 'https://example.com', true],
    ['example.com', 'https://login.example.com', true],
    ['.example.com', 'https://login.example.com', true],
    ['*.example.com', 'https://login.example.com', true],
    ['EXAMPLE.com.', 'https://Login.Example.COM', true],
    ['example.com', 'https://login.example.com.', true],
    ['example.com', 'https://badexample.com', false],
    ['example.com', 'https://example.com.evil.example', false],
    ['a.example, b.example  c.example', 'https://c.example', true],
    ['example.com:8443', 'https://example.com:8443', true],
    ['example.com:8443', 'https://example.com', false],
    ['example.com:443', 'https://example.com', true],
    ['10.0.0.0/8', 'https://10.1.2.3', true],
    ['10.0.0.0/8', 'https://11.1.2.3', false],
    ['10.1.2.3', 'https://10.1.2.3', true],
    ['10.1.2.3:443', 'https://10.1.2.3', true],
    ['10.0.0.0/x', 'https://10.1.2.3', false],
    ['10.0.0.0/99', 'https://10.0.0.0', true],
    ['fd00::/8', 'https://[fd00::1]', true],
    ['[fd00::1]:443', 'https://[fd00::1]', true],
    ['fd00::1', 'https://[fd00::2]', false],
    ['1.2.3', 'https://10.1.2.3', false],
    [' , ,', 'https://login.example.com', false],
    ['.', 'https://login.example.com', false]
  ]
  for (const [noProxy, url, direct] of cases) t.equal(isDirect(new URL(url), noProxy), direct, `${noProxy || 'nothing'}: ${url}`)
})
