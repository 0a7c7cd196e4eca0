import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmdirSync, rmSync, statSync, symlinkSync, truncateSync,
  writeFileSync
} from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { LineFile, type LineFileOptions } from '../../../lib/audit/index.ts'

function start (t: Test, options: LineFileOptions = {}) {
  const path = join(t.testdir({}), 'audit.log')
  const file = new LineFile(path, options)
  t.teardown(() => file.close().catch(() => {}))
  return { path, file, text: (name = path) => readFileSync(name, 'utf8') }
}

/** A file system that counts writes, and fails as it is told after some bytes. */
function failing () {
  const disk: { writes: number, error: string | undefined, after: number, hold: Promise<void> | undefined } =
    { writes: 0, error: undefined, after: 0, hold: undefined }
  const files: LineFileOptions['files'] = {
    stat,
    async open (path, flags, mode) {
      const handle = await open(path, flags, mode)
      return {
        read: handle.read.bind(handle),
        stat: handle.stat.bind(handle),
        sync: handle.sync.bind(handle),
        close: handle.close.bind(handle),
        async appendFile (bytes) {
          disk.writes++
          await disk.hold
          if (disk.error === undefined) return await handle.appendFile(bytes)
          await handle.appendFile((bytes as Buffer).subarray(0, disk.after))
          throw Object.assign(new Error(disk.error), { code: disk.error })
        }
      } as Awaited<ReturnType<NonNullable<LineFileOptions['files']>['open']>>
    }
  }
  return { disk, files }
}

t.test('lines of one turn are one write, and share one promise', async t => {
  const { disk, files } = failing()
  const { file, text } = start(t, { files })
  const [first, second] = [file.write('a'), file.write('b')]
  t.equal(first, second)
  await first
  t.equal(text(), 'a\nb\n')
  t.strictSame([disk.writes, file.bytes], [1, 4])
})

t.test('lines that come while a write runs wait for the next one, in order', async t => {
  const { disk, files } = failing()
  const { file, text } = start(t, { files })
  let go = () => {}
  disk.hold = new Promise(resolve => { go = resolve })
  const first = file.write('0')
  while (disk.writes === 0) await new Promise(resolve => { setImmediate(resolve) })
  const rest: Array<Promise<void>> = []
  for (let number = 1; number <= 100; number++) {
    rest.push(file.write(String(number)))
    if (number % 10 === 0) await new Promise(resolve => { setImmediate(resolve) })
  }
  t.equal(new Set(rest).size, 1)
  go()
  await Promise.all([first, ...rest])
  t.equal(disk.writes, 2)
  t.equal(text(), Array.from({ length: 101 }, (_, number) => `${number}\n`).join(''))
})

t.test('only the owner can read the file, and what it holds stays', async t => {
  const { path, file, text } = start(t)
  writeFileSync(path, 'old\n')
  await file.write('new')
  t.equal(text(), 'old\nnew\n')
  const other = start(t)
  await other.file.write('x')
  if (process.platform !== 'win32') t.equal(statSync(other.path).mode & 0o777, 0o600)
})

t.test('a line that a crash tore is ended before the next one', async t => {
  const { path, file, text } = start(t)
  writeFileSync(path, 'whole\nto')
  await file.write('next')
  t.equal(text(), 'whole\nto\nnext\n')
})

t.test('a link, and a folder where anybody may replace files, are refused', { skip: process.platform === 'win32' }, async t => {
  const { path, file } = start(t)
  symlinkSync(join(path, '..', 'elsewhere'), path)
  await t.rejects(file.write('x'), { code: 'ELOOP' })
  rmSync(path)
  const folder = join(path, '..', 'open')
  mkdirSync(folder)
  chmodSync(folder, 0o777)
  const other = new LineFile(join(folder, 'audit.log'))
  await t.rejects(other.write('x'), /every user/)
  chmodSync(folder, 0o1777)
  await other.write('x')
  await other.close()
})

t.test('a file that was moved or removed is followed, looked at once a second', async t => {
  let now = 0
  const { path, file, text } = start(t, { now: () => now })
  await file.write('1')
  renameSync(path, `${path}.1`)
  now = 999
  await file.write('2')
  t.equal(text(`${path}.1`), '1\n2\n')
  now = 1000
  await file.write('3')
  t.equal(text(), '3\n')
  rmSync(path)
  now = 2000
  await file.write('4')
  t.equal(text(), '4\n')
  truncateSync(path)
  now = 3000
  await file.write('5')
  t.strictSame([text(), file.bytes], ['5\n', 2])
})

t.test('SIGHUP makes the new file at once; the listener ends with the last file', { skip: process.platform === 'win32' }, async t => {
  const before = process.listenerCount('SIGHUP')
  const { path, file } = start(t, { now: () => 0 })
  const other = start(t)
  t.equal(process.listenerCount('SIGHUP'), before + 1)
  await file.write('1')
  renameSync(path, `${path}.1`)
  const alive = setInterval(() => {}, 1000) // a listener for a signal keeps no process running
  process.kill(process.pid, 'SIGHUP')
  await once(process, 'SIGHUP')
  clearInterval(alive)
  await file.flush()
  t.equal(existsSync(path), true)
  await file.close()
  t.equal(process.listenerCount('SIGHUP'), before + 1)
  await other.file.close()
  t.equal(process.listenerCount('SIGHUP'), before)
  process.once('SIGHUP', () => {})
  process.emit('SIGHUP', 'SIGHUP')
  await t.rejects(file.write('2'), /closed/)
})

for (const code of ['ENOSPC', 'EIO', 'EROFS']) {
  t.test(`${code}: the batch is lost, the next one tries again, a torn line is ended`, async t => {
    const { disk, files } = failing()
    const { file, text } = start(t, { files })
    await file.write('first')
    Object.assign(disk, { error: code, after: 3 })
    const lost = [file.write('second'), file.write('third')]
    for (const one of lost) await t.rejects(one, { code })
    Object.assign(disk, { error: undefined })
    await file.write('fourth')
    t.equal(text(), 'first\nsec\nfourth\n')
  })
}

t.test('a folder that is missing fails each batch until it is there', async t => {
  const folder = join(t.testdir({}), 'later')
  const file = new LineFile(join(folder, 'audit.log'))
  await t.rejects(file.write('1'), { code: 'ENOENT' })
  mkdirSync(folder)
  await file.write('2')
  await file.close()
  t.equal(readFileSync(join(folder, 'audit.log'), 'utf8'), '2\n')
})

t.test('a real disk that is full, and has room again', { skip: !mayMount() && 'needs the right to mount a tmpfs' }, async t => {
  const folder = mkdtempSync(join(tmpdir(), 'audit-'))
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder])
  try {
    await fill(t, folder)
  } finally {
    execFileSync('umount', [folder])
    rmdirSync(folder)
  }
})

async function fill (t: Test, folder: string): Promise<void> {
  writeFileSync(join(folder, 'filler'), Buffer.alloc(50_000))
  const path = join(folder, 'audit.log')
  const file = new LineFile(path)
  const line = 'x'.repeat(999)
  let written = 0
  await t.rejects((async () => {
    for (; written < 100; written++) await file.write(line)
  })(), { code: 'ENOSPC' })
  t.ok(written > 0 && written < 20)
  await t.rejects(file.write(line), { code: 'ENOSPC' })
  rmSync(join(folder, 'filler'))
  await file.write(line)
  await file.close()
  const whole = readFileSync(path, 'utf8').split('\n').filter(one => one === line)
  t.equal(whole.length, written + 1)
}

function mayMount (): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'audit-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder], { stdio: 'ignore' })
    execFileSync('umount', [folder])
    return true
  } catch {
    return false
  } finally {
    rmdirSync(folder)
  }
}

t.test('a process with an open file ends by itself', async t => {
  const path = join(t.testdir({}), 'audit.log')
  const [index, loader] = ['lib/audit/index.ts', 'scripts/test-loader.mjs'].map(name => new URL(`../../../${name}`, import.meta.url).href)
  const child = spawn(process.execPath, ['--input-type=module', '-e',
    `import { LineFile } from ${JSON.stringify(index)}; await new LineFile(${JSON.stringify(path)}).write('x')`],
  { stdio: 'ignore', env: { ...process.env, NODE_OPTIONS: `--import=${loader}` } })
  const [exit] = await once(child, 'exit')
  t.equal(exit, 0)
  t.equal(readFileSync(path, 'utf8'), 'x\n')
})

t.test('19 attack: a clock that is set back does not keep a file that was moved away', async t => {
  let now = 10_000_000
  const { path, file, text } = start(t, { now: () => now })
  await file.write('before')
  now -= 3_600_000
  renameSync(path, `${path}.1`)
  await file.write('after')
  t.strictSame([text(`${path}.1`), text()], ['before\n', 'after\n'])
})

t.test('19 attack: a FIFO in the place of the file is refused, and does not take the events in', { skip: process.platform === 'win32' },
  async t => {
    const { path, file } = start(t)
    execFileSync('mkfifo', [path])
    await t.rejects(file.write('a'), /is no regular file/)
  })
