import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { createApiKey, KeyFile, readKeyFile, writeKeyFile, type KeyFileEvent } from '../../../lib/api-keys/index.ts'
import { Problems } from '../../../lib/config/index.ts'

const folder = mkdtempSync(join(tmpdir(), 'keys-'))
t.teardown(() => rmSync(folder, { recursive: true }))

function record () {
  const { id, hash } = createApiKey('shop')
  return { id, secrets: [{ hash }] }
}

t.test('what is written is read, only its owner may read it, and nothing is left beside it', async t => {
  const file = join(folder, 'written.json')
  const keys = [record(), record()]
  await writeKeyFile(file, [])
  await writeKeyFile(file, keys)
  const problems = new Problems()
  t.strictSame(readKeyFile(file, 'file', problems), keys)
  t.strictSame(problems.list(), [])
  if (process.platform !== 'win32') t.equal(statSync(file).mode & 0o777, 0o600)
  t.strictSame(readdirSync(folder), ['written.json'])
  await t.rejects(writeKeyFile(join(folder, 'nowhere', 'keys.json'), keys))
})

t.test('what is wrong with a file is said without its content', t => {
  const file = join(folder, 'wrong.json')
  const { id, secrets: [secret] } = record()
  const longer = JSON.stringify({ keys: [{ id, secrets: [{ hash: `${secret?.hash}0` }] }] })
  for (const text of [`{ "keys": [ "${secret?.hash}`, longer, '', 'null']) {
    writeFileSync(file, text)
    const problems = new Problems()
    readKeyFile(file, 'file', problems)
    t.equal(problems.list().length, 1, text)
    t.notMatch(JSON.stringify(problems.list()), secret?.hash.slice(7))
  }
  t.end()
})

t.test('looks follow each other, so that a slow one does not bring back what was replaced, and end with the store', async t => {
  const file = join(folder, 'watched.json')
  const [first, second] = [record(), record()]
  await writeKeyFile(file, [first])
  const events: KeyFileEvent[] = []
  const planned: (() => unknown)[] = []
  const store = new KeyFile({
    file,
    refresh: 5000,
    strict: true,
    now: () => 0,
    onEvent: event => { events.push(event) },
    schedule: callback => {
      planned.push(callback)
      return () => { planned.splice(planned.indexOf(callback), 1) }
    }
  })
  store.open('file')
  t.strictSame([store.peek(first.id)?.id, store.peek(second.id)], [first.id, undefined])
  t.equal(await store.refresh(), true)
  t.strictSame(events, [], 'the same content')
  const early = store.refresh()
  writeFileSync(file, readFileSync(file, 'utf8').replaceAll(first.id, second.id))
  t.strictSame(await Promise.all([early, store.refresh()]), [true, true])
  t.equal(store.peek(second.id)?.id, second.id)
  t.strictSame(events, [{ type: 'apiKeys.replaced', keys: 1 }])
  await planned.splice(0)[0]?.()
  t.equal(planned.length, 1, 'and again')
  store.close()
  t.equal(planned.length, 0)
})
