import { randomBytes } from 'node:crypto'
import t from 'tap'
import { weaknessOf } from '../../../lib/secrets/weakness.ts'

t.test('secrets that anybody could guess are refused, random ones never', async t => {
  const weak: readonly string[] = [
    'supersecret', 'short', '', 'a'.repeat(32), 'ab'.repeat(32), 'abcdefgh'.repeat(5), '0'.repeat(64),
    'supersecretsupersecretsupersecret', 'super-secret-super-secret-super-secret-123', 'your-256-bit-secret-your-256-bit-secret',
    'averylogphrasebiggerthanthirtytwochars', 'a secret with minimum length of 32 characters', 'a-string-secret-at-least-256-bits-long',
    'supersecret000000000000000000000', 'changeme-changeme-changeme-changeme!', 'your-super-secret-key-change-this-in-production',
    'this-is-a-very-long-secret-key-for-jwt-development', 'keyboard cat keyboard cat keyboard cat', 'shhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh',
    '12345678901234567890123456789012', 'abcdefghijklmnopqrstuvwxyz0123456789', '0123456789abcdef0123456789abcdef'
  ]
  for (const secret of weak) t.type(weaknessOf(secret), 'string', secret)
  for (let count = 0; count < 300; count++) {
    for (const encoding of ['hex', 'base64', 'base64url', 'latin1'] as const) {
      const secret = randomBytes(32).toString(encoding)
      if (weaknessOf(secret) !== undefined) t.fail(`${encoding}: ${secret}`)
    }
  }
  t.equal(weaknessOf(`my-company-secret-${randomBytes(24).toString('hex')}`), undefined, 'a name before something random')
  t.match(weaknessOf('x'.repeat(31)), /has 31 bytes/)
})
