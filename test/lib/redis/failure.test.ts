import t from 'tap'
import { asStoreFailure, StoreFailed } from '../../../lib/redis/index.ts'

t.test('what a client says, as a reason and a code, without its text', async t => {
  const cases = [
    ['OOM command not allowed', 'out-of-memory', 'OOM'], ['READONLY You can\'t write', 'read-only', 'READONLY'],
    ['MOVED 866 10.0.0.1:7001', 'cluster', 'MOVED'],
    ['LOADING Redis is loading', 'loading', 'LOADING'], ['WRONGPASS invalid username-password pair', 'authentication', 'WRONGPASS'],
    ['NOPERM user limits', 'permission', 'NOPERM'],
    ['connect ECONNREFUSED 10.0.0.1:6379', 'connection', undefined], ['Command timed out', 'timeout', undefined],
    ['WRONGTYPE Operation', 'script', 'WRONGTYPE'],
    ['redis://user:hunter2@10.0.0.1', 'unknown', undefined]
  ] as const
  for (const [text, reason, code] of cases) {
    const failure = asStoreFailure(new Error(text))
    t.strictSame([failure.reason, failure.code], [reason, code], text)
    t.notMatch(failure.message, /hunter2|10\.0/)
  }
  t.match(asStoreFailure('text'), { reason: 'unknown' })
  const known = new StoreFailed('reply')
  t.equal(asStoreFailure(known), known)
})
