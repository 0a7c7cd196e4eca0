import { generateKeyPairSync, hash } from 'node:crypto'
import { createReadStream, readFileSync, renameSync, appendFileSync, truncateSync, writeFileSync } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  chainVerifier, openAuditFile, readChainKey, verifyChain, type AuditFile, type AuditFileOptions, type Checkpoint
} from '../../../lib/audit/index.ts'

const { privateKey, publicKey } = generateKeyPairSync('ed25519')
const pem = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()

interface ChainedLine {
  readonly seq: number
  readonly lines?: number
  readonly hash: string
  readonly type?: string
  readonly torn?: number
  readonly id?: string
}

/** The lines of a file; undefined for what is no JSON. */
function linesOf (path: string): Array<{ time?: string, n?: number, chain?: ChainedLine } | undefined> {
  return readFileSync(path, 'utf8').trimEnd().split('\n').map(line => {
    try {
      return JSON.parse(line)
    } catch {
      return undefined
    }
  })
}

function shape (path: string): Array<string | number | undefined> {
  return linesOf(path).map(line => line?.chain?.type ?? line?.n)
}

async function start (t: Test, options: AuditFileOptions = {}, path = join(t.testdir({}), 'audit.log')) {
  // Without a timer of its own: a slow machine would have a checkpoint among the lines, after ten seconds.
  const file = await openAuditFile(path, { chain: { key: privateKey }, schedule: () => () => {}, ...options })
  t.teardown(() => file.close().catch(() => {}))
  return { path, file }
}

async function addAll (file: AuditFile, ...numbers: number[]): Promise<void> {
  await Promise.all(numbers.map(n => file.write({ n })))
}

t.test('without a chain: one JSON document a line', async t => {
  const path = join(t.testdir({}), 'audit.log')
  const file = await openAuditFile(path)
  await addAll(file, 1, 2)
  await t.rejects(file.write({ n: 1n }), TypeError)
  await t.rejects(file.write(['a']), TypeError)
  t.strictSame(file.status(), { path, bytes: 16 })
  await file.close()
  t.equal(readFileSync(path, 'utf8'), '{"n":1}\n{"n":2}\n')
})

t.test('19: lines that are made later: all of them, in order, however many come', async t => {
  for (const count of [1, 99, 100, 101, 399, 400, 1234]) {
    const path = join(t.testdir({}), `audit-${count}.log`)
    const made: number[] = []
    const lineOf = ({ n }: { readonly n: number }) => {
      made.push(n)
      return JSON.stringify({ n })
    }
    const file = await openAuditFile(path, { lineOf, later: true, chain: { key: privateKey } })
    const writes = Array.from({ length: count }, (_, n) => file.write({ n }))
    t.equal(made.length, count - count % 100)
    await Promise.all(writes)
    await file.close()
    const numbers = shape(path).filter(value => typeof value === 'number')
    t.strictSame(numbers, Array.from({ length: count }, (_, n) => n))
  }
})

t.test('19: a line that cannot be made later is not lost without a word', async t => {
  const path = join(t.testdir({}), 'audit.log')
  const lineOf = ({ n }: { readonly n: number }) => {
    if (n === 2) throw new TypeError('no line')
    return JSON.stringify({ n })
  }
  const file = await openAuditFile(path, { lineOf, later: true })
  const settled = await Promise.allSettled([1, 2, 3].map(n => file.write({ n })))
  t.strictSame(settled.map(({ status }) => status), ['rejected', 'rejected', 'rejected'])
  await file.write({ n: 4 })
  await file.close()
  t.strictSame(shape(path), [4])
})

t.test('a chain: JSON with one member more, each hash over the previous one and the lines it binds; signed begin and end', async t => {
  const reports: Checkpoint[] = []
  const { path, file } = await start(t, { onCheckpoint: report => { reports.push(report) }, now: () => 0 })
  await addAll(file, 0, 1)
  await file.write({})
  await Promise.all([file.write({ n: 2 }), file.write({})])
  t.match(file.status(), { path, seq: 3, lastCheckpoint: { seq: 0, type: 'start', time: '1970-01-01T00:00:00.000Z' } })
  await file.close()
  t.strictSame(shape(path), ['start', 0, 1, undefined, 2, undefined, 'end'])
  t.strictSame(linesOf(path).map(line => line?.chain?.lines), [undefined, undefined, 2, undefined, undefined, 2, undefined])
  let [previous, bound, seq] = ['', '', 0]
  for (const line of readFileSync(path, 'utf8').trimEnd().split('\n')) {
    const { chain } = JSON.parse(line)
    if (chain === undefined) {
      bound += `${line}\n`
      continue
    }
    t.equal(chain.seq, seq++)
    t.equal(hash('sha256', previous + bound + line.slice(0, -46), 'base64url'), chain.hash)
    bound = ''
    if (chain.sig !== undefined) {
      t.equal(chain.after, previous)
      const signed = Buffer.from(`secure-api audit chain\n${line.slice(0, line.indexOf(',"sig"'))}`)
      t.ok(chainVerifier(publicKey)?.verify(signed, chain.sig))
    }
    previous = chain.hash
  }
  t.strictSame(reports.map(({ seq, type }) => [seq, type]), [[0, 'start'], [4, 'end']])
  t.equal(reports[1]?.hash, previous)
})

t.test('keys: PEM and KeyObject, Ed25519 and P-256; others are a coded mistake', async t => {
  const es256 = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  for (const key of [pem, privateKey, es256]) {
    const { kid, sign } = readChainKey(key, 'audit.chain.key')
    const verifier = chainVerifier(key)
    t.equal(verifier?.kid, kid)
    t.equal(verifier?.verify(Buffer.from('a'), sign('a')), true)
    t.equal(verifier?.verify(Buffer.from('b'), sign('a')), false)
  }
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
  const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey
  for (const key of ['', 'secret', publicKey, publicKey.export({ format: 'pem', type: 'spki' }).toString(), rsa, p384]) {
    t.throws(() => readChainKey(key, 'audit.chain.key'), { code: 'SECURE_API_AUDIT_CHAIN_KEY' })
    await t.rejects(openAuditFile(join(t.testdir({}), 'x'), { chain: { key } }), { code: 'SECURE_API_AUDIT_CHAIN_KEY' })
  }
  t.equal(chainVerifier(rsa), undefined)
})

t.test('checkpoints by number and by time', async t => {
  const timers: Array<() => unknown> = []
  const schedule = (callback: () => unknown) => {
    timers.push(callback)
    return () => {}
  }
  const { path, file } = await start(t, { chain: { key: pem, every: 3 }, schedule })
  await addAll(file, 0, 1, 2, 3)
  t.strictSame(shape(path), ['start', 0, 1, 2, 'checkpoint', 3])
  t.equal(timers.length, 1, 'one timer')
  timers[0]?.()
  await addAll(file, 4)
  t.strictSame(shape(path), ['start', 0, 1, 2, 'checkpoint', 3, 'checkpoint', 4])
  t.equal(timers.length, 2)
  timers[1]?.()
  await file.close()
  t.strictSame(shape(path).slice(-2), ['checkpoint', 'end'])
})

t.test('a document cannot bring a link of its own', async t => {
  const { file } = await start(t)
  await t.rejects(file.write({ chain: { seq: 1 } }), TypeError)
})

t.test('a restart goes on in the same chain; a torn line is said to be one', async t => {
  const { path, file } = await start(t)
  await addAll(file, 0)
  await file.close()
  appendFileSync(path, '{"n":1,"cha')
  const second = await start(t, {}, path)
  await addAll(second.file, 2)
  await second.file.close()
  t.strictSame(shape(path), ['start', 0, 'end', undefined, 'resume', 2, 'end'])
  const lines = linesOf(path)
  t.match(lines[4], { chain: { seq: 3, torn: 11, id: lines[0]?.chain?.id } })
})

t.test('a start line that was torn', async t => {
  const path = join(t.testdir({}), 'audit.log')
  writeFileSync(path, '{"time":"20')
  const { file } = await start(t, {}, path)
  await file.close()
  t.strictSame(shape(path), [undefined, 'start', 'end'])
})

t.test('a file that is no chain stops the boot', async t => {
  for (const content of ['{"n":1}\n', 'x'.repeat(5000)]) {
    const path = join(t.testdir({}), 'audit.log')
    writeFileSync(path, content)
    const before = process.listenerCount('SIGHUP')
    await t.rejects(openAuditFile(path, { chain: { key: pem } }), { code: 'SECURE_API_AUDIT_CHAIN_FILE' })
    t.equal(readFileSync(path, 'utf8'), content)
    t.equal(process.listenerCount('SIGHUP'), before)
  }
})

t.test('rotation: the old file ends signed, the new one goes on from there', async t => {
  let now = 0
  const { path, file } = await start(t, { now: () => now })
  await addAll(file, 0)
  renameSync(path, `${path}.1`)
  now = 1000
  await addAll(file, 1)
  truncateSync(path)
  now = 2000
  await addAll(file, 2)
  await file.close()
  t.strictSame([shape(`${path}.1`), shape(path)], [['start', 0, 'rotate'], ['file', 2, 'end']])
  t.match(linesOf(path)[0], { chain: { seq: 5, id: linesOf(`${path}.1`)[0]?.chain?.id } })
})

t.test('19: a file that was emptied and written to before anybody looked goes on: no line is refused for it', async t => {
  let now = 0
  const { path, file } = await start(t, { now: () => now })
  await addAll(file, 0)
  truncateSync(path)
  await addAll(file, 1)
  now = 1000
  await addAll(file, 2)
  await addAll(file, 3)
  await file.close()
  t.strictSame(shape(path), [1, 2, 3, 'end'])
  t.match(linesOf(path)[1], { chain: { seq: 3 } })
  await t.rejects(openAuditFile(path, { chain: { key: pem } }), { code: 'SECURE_API_AUDIT_CHAIN_FILE' }, 'nobody else goes on from it')
})

t.test('19: another process that adds to the file is told of, once', async t => {
  let now = 0
  const told: string[] = []
  const path = join(t.testdir({}), 'audit.log')
  const { file: one } = await start(t, { now: () => now, onForeign: () => { told.push('one') } }, path)
  await addAll(one, 1)
  now = 1000
  await addAll(one, 2)
  t.strictSame(told, [], 'what it wrote itself is no other process')
  const { file: other } = await start(t, { now: () => now, onForeign: () => { told.push('other') } }, path)
  await addAll(other, 3)
  await addAll(one, 4)
  for (const time of [2000, 3000]) {
    now = time
    for (const file of [one, other]) await addAll(file, time)
  }
  t.strictSame(told, ['one', 'other'])
})

t.test('a running process does not go on from a file that somebody put there', async t => {
  let now = 0
  const { path, file } = await start(t, { now: () => now })
  await addAll(file, 0)
  const old = readFileSync(path)
  await addAll(file, 1)
  renameSync(path, `${path}.1`)
  writeFileSync(path, old)
  now = 1000
  await addAll(file, 2)
  t.strictSame(shape(path), ['start', 0, 'file', 2])
  t.match(linesOf(path)[2], { chain: { seq: 4, after: linesOf(`${path}.1`)[3]?.chain?.hash } })
})

/** A file system that takes so many bytes more, and of a write that is longer a part. */
function smallDisk () {
  const disk = { room: Infinity }
  const files: AuditFileOptions['files'] = {
    stat,
    async open (path, flags, mode) {
      const handle = await open(path, flags, mode)
      const append = handle.appendFile.bind(handle)
      return Object.assign(handle, {
        async appendFile (bytes: Buffer) {
          const part = bytes.subarray(0, disk.room)
          disk.room -= part.length
          await append(part)
          if (part.length < bytes.length) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' })
        }
      })
    }
  }
  return { files, disk }
}

async function findingsOf (...paths: string[]) {
  const key = chainVerifier(publicKey)
  const files = paths.map(name => ({ name, chunks: createReadStream(name) }))
  return (await verifyChain(files, { keys: key && [key] })).findings
}

async function errorsOf (...paths: string[]): Promise<string[]> {
  return (await findingsOf(...paths)).filter(({ severity }) => severity === 'error').map(({ line, text }) => `${line}: ${text}`)
}

t.test('a full disk: what was lost is not in the chain, and the torn line is said to be one', async t => {
  const { files, disk } = smallDisk()
  const { path, file } = await start(t, { files })
  await addAll(file, 0)
  const { length } = readFileSync(path, 'utf8').split('\n')[1] ?? ''
  const cut = length + 10 // one line, which nothing binds yet, and a piece of the next
  disk.room = cut
  await t.rejects(addAll(file, 1, 2))
  disk.room = 5
  await t.rejects(addAll(file, 3))
  disk.room = 0
  await t.rejects(addAll(file, 4))
  disk.room = Infinity
  await addAll(file, 5)
  t.strictSame(shape(path), ['start', 0, 1, undefined, undefined, 'resume', 5])
  t.match(linesOf(path).find(line => line?.chain?.type === 'resume'), { chain: { seq: 2, torn: cut + 5 } })
  t.match(file.status(), { seq: 3, bytes: readFileSync(path).length })
  await file.close()
  const key = chainVerifier(publicKey)
  const { findings } = await verifyChain([{ name: path, chunks: createReadStream(path) }], { keys: key && [key] })
  t.match(findings, [{ kind: 'torn', severity: 'warning', line: 3 }])
})

t.test('19: a write that is torn at any byte, with a restart behind it and without, is a warning at most', async t => {
  const folder = t.testdir({})
  const whole = await start(t, {}, join(folder, 'whole.log'))
  const before = readFileSync(whole.path).length
  await addAll(whole.file, 1, 2)
  const size = readFileSync(whole.path).length - before
  for (let room = 0; room < size; room++) {
    const { files, disk } = smallDisk()
    const { path, file } = await start(t, { files }, join(folder, `${room}.log`))
    disk.room = room
    await t.rejects(addAll(file, 1, 2))
    disk.room = Infinity
    const next = room % 2 === 0 ? file : (await start(t, { files }, path)).file
    await addAll(next, 3)
    await next.close()
    t.strictSame(await errorsOf(path), [], `torn after ${room} of ${size} bytes`)
  }
})

t.test('19: a torn write before a rotation is ended in its own file', async t => {
  let now = 0
  const { files, disk } = smallDisk()
  const { path, file } = await start(t, { files, now: () => now })
  disk.room = 10
  await t.rejects(addAll(file, 1, 2))
  disk.room = Infinity
  renameSync(path, `${path}.1`)
  now = 1000
  await addAll(file, 3)
  await file.close()
  t.strictSame(shape(`${path}.1`), ['start', 1, undefined, 'resume', 'rotate'])
  t.strictSame(await errorsOf(`${path}.1`, path), [])
})

t.test('19: a first line that a full disk broke again and again is gone on from', async t => {
  let now = 0
  const { files, disk } = smallDisk()
  const { path, file } = await start(t, { files, now: () => now })
  renameSync(path, `${path}.1`)
  now = 1000
  disk.room = 400 // the last line of the old file, and a piece of the first of the new one
  await t.rejects(addAll(file, 1))
  for (const room of [1, 70, 1]) {
    disk.room = room
    await t.rejects(addAll(file, 2))
  }
  disk.room = Infinity
  await addAll(file, 3)
  await file.close()
  t.strictSame(await errorsOf(`${path}.1`, path), [])
  t.strictSame(await errorsOf(path), [], 'the older file is gone')
})

t.test('19: a first line that was broken does not stop the boots that follow', async t => {
  const path = join(t.testdir({}), 'audit.log')
  const { files, disk } = smallDisk()
  for (const room of [20, 1, 80]) {
    disk.room = room
    await t.rejects(start(t, { files }, path), { code: 'ENOSPC' })
  }
  disk.room = Infinity
  const { file } = await start(t, { files }, path)
  await addAll(file, 1)
  await file.close()
  t.strictSame(await errorsOf(path), [])
})

t.test('19 attack: nothing takes the place of what is left of a broken write', async t => {
  const { files, disk } = smallDisk()
  const { path, file } = await start(t, { files })
  disk.room = 20
  await t.rejects(addAll(file, 1, 2, 3))
  disk.room = Infinity
  await addAll(file, 4)
  await file.close()
  const lines = readFileSync(path, 'utf8').split('\n')
  t.match(await findingsOf(path), [{ kind: 'torn', severity: 'warning' }])
  const at = lines.findIndex(line => line.includes('"resume"'))
  const changes = [['{"n":1}', '{"n":7}', ...lines.slice(3, at)], ['{"n":"forged event"}'], []]
  for (const remains of changes) {
    writeFileSync(path, [...lines.slice(0, 1), ...remains, ...lines.slice(at)].join('\n'))
    t.not((await errorsOf(path)).length, 0, remains.join())
  }
})
