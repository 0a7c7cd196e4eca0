import { constants, type Stats } from 'node:fs'
import { open, stat, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { isatty } from 'node:tty'
import { LineBuffer, Lines } from './line-buffer.ts'

/** What is used of the file system; tests give their own. */
export interface Files {
  open (path: string, flags: number, mode: number): Promise<Handle>
  stat (path: string): Promise<Stats>
}
type Handle = Pick<FileHandle, 'appendFile' | 'read' | 'stat' | 'sync' | 'close'>

/** Reads bytes of a file that is open. */
export type ReadAt = (position: number, length: number) => Promise<Buffer>

/** Makes the bytes of a batch. It may keep a state from line to line: whatever fails is followed by another `begin`. */
export interface Frame {
  /** A file was opened, or a write to it failed: what it ends with. Throws if nothing may be added to it. */
  begin (size: number, read: ReadAt): Promise<void>
  /** @param isLast whether the file is closed behind these lines */
  encode (lines: Lines, isLast: boolean, into: LineBuffer): void
  /** The last words for a file that was moved away. */
  leave (into: LineBuffer): void
  /** What was encoded last is in the file. */
  written (): void
}

export interface LineFileOptions<Document = string> {
  /** The line of a document, which is made when others have come too. It must not throw. @default `String` */
  readonly lineOf?: ((document: Document) => string) | undefined
  /** Whether each batch waits until the disk has it. Slow, and safe against a loss of power. @default false */
  readonly fsync?: boolean | undefined
  readonly now?: (() => number) | undefined
  readonly frame?: Frame | undefined
  /** Called once for a file into which somebody else writes too. */
  readonly onForeign?: (() => void) | undefined
  readonly files?: Files | undefined
}

interface Batch<Document> {
  /** Whose lines are not made yet. */
  documents: Document[]
  readonly lines: Lines
  readonly done: Promise<void>
  /** Ends the wait for further lines. */
  readonly hurry: () => void
  isLast: boolean
  /** Why a line could not be made. */
  error?: unknown
}

/** How often a path is looked at, in milliseconds. */
const checkEvery = 1000
/**
 * For how long lines are gathered, in milliseconds, and how many at most. A write for each event costs more than the event, and a text of a
 * megabyte more than its parts; of a process that is killed the events under way are lost either way.
 */
const gatherFor = 30
const gatherMost = 400
/**
 * How many lines are made at once. Made one by one, between requests, each took 3 to 6 µs more, since nothing of what makes and copies a
 * text was in the processor's caches by then (`wrk`, Node 20).
 */
const makeMost = 100

const { O_APPEND, O_CREAT, O_RDWR, O_NOFOLLOW = 0 } = constants

/**
 * A file that lines are added to. It survives rotation: when the path leads to another file, or to none, the next line goes to a
 * new one. A batch that fails is lost, and its promise says so; the next one tries again.
 */
export class LineFile<Document = string> {
  readonly path: string
  readonly #fsync: boolean
  readonly #lineOf: (document: Document) => string
  readonly #now: () => number
  readonly #frame: Frame
  readonly #onForeign: (() => void) | undefined
  readonly #files: Files
  #handle: Handle | undefined
  /** The batch that takes further lines. */
  #next: Batch<Document> | undefined
  #last: Promise<unknown> = Promise.resolve()
  #checked = -Infinity
  #isShared = false
  /** Whether a write failed, so that nobody knows where the file ends. */
  #torn = false
  #closed: Promise<void> | undefined
  readonly #buffer = new LineBuffer()
  /** One gathers while another is written. */
  readonly #spare: Lines[] = []
  /** The size of the file. */
  bytes = 0

  constructor (path: string, options: LineFileOptions<Document> = {}) {
    const { fsync = false, lineOf = String, now = Date.now, frame = new PlainFrame(), files = { open, stat }, onForeign } = options
    this.path = path
    this.#fsync = fsync
    this.#lineOf = lineOf
    this.#now = now
    this.#frame = frame
    this.#onForeign = onForeign
    this.#files = files
    listen(this)
  }

  /** Settles when the bytes were handed to the file system. All lines of a batch share one promise. No document may change until then. */
  write (document: Document): Promise<void> {
    if (this.#closed !== undefined) return Promise.reject(new Error('the audit file is closed'))
    const batch = this.#batch()
    const { documents, lines } = batch
    if (documents.push(document) === makeMost) this.#make(batch)
    if (lines.ends.length >= gatherMost || batch.error !== undefined) this.#send(batch)
    return batch.done
  }

  /** Writes what waits, and what the frame has to say. */
  flush (): Promise<void> {
    const batch = this.#batch()
    this.#send(batch)
    return batch.done
  }

  /** Looks at once whether the path leads to another file. */
  reopen (): void {
    this.#checked = -Infinity
    // A failure is found again by the next line, whose caller hears of it.
    if (this.#closed === undefined) this.flush().catch(() => {})
  }

  /** Writes what waits and closes the file. */
  close (): Promise<void> {
    this.#closed ??= this.#end()
    return this.#closed
  }

  async #end (): Promise<void> {
    unlisten(this)
    const batch = this.#batch()
    batch.isLast = true
    this.#send(batch)
    try {
      await batch.done
    } finally {
      await this.#handle?.close()
      this.#handle = undefined
    }
  }

  /** Lines of the same few milliseconds are one write. */
  #batch (): Batch<Document> {
    if (this.#next !== undefined) return this.#next
    const lines = this.#spare.pop() ?? new Lines()
    let hurry = () => {}
    const gathered = new Promise<void>(resolve => {
      const timer = setTimeout(resolve, gatherFor)
      hurry = () => { clearTimeout(timer); setImmediate(resolve) }
    })
    const before = this.#last
    const done = gathered.then(() => before).then(() => this.#write(batch))
    this.#last = done.catch(() => {})
    const batch: Batch<Document> = { documents: [], lines, done, hurry, isLast: false }
    this.#next = batch
    return batch
  }

  /** It takes no further lines. */
  #send (batch: Batch<Document>): void {
    if (this.#next === batch) this.#next = undefined
    batch.hurry()
  }

  /** Makes the lines that wait. */
  #make (batch: Batch<Document>): void {
    const { documents, lines } = batch
    batch.documents = []
    try {
      for (const document of documents) lines.add(this.#lineOf(document))
    } catch (error) {
      batch.error = error
    }
  }

  async #write (batch: Batch<Document>): Promise<void> {
    if (this.#next === batch) this.#next = undefined
    this.#make(batch)
    if (batch.error !== undefined) throw batch.error
    const handle = await this.#ready()
    await this.#append(handle, into => this.#frame.encode(batch.lines, batch.isLast, into))
    batch.lines.clear()
    this.#spare.push(batch.lines)
  }

  /** Batches are written one after the other, so that all use one buffer. */
  async #append (handle: Handle, encode: (into: LineBuffer) => void): Promise<void> {
    this.#buffer.clear()
    encode(this.#buffer)
    const { content, length } = this.#buffer
    if (length === 0) return
    try {
      await handle.appendFile(content)
      if (this.#fsync) await handle.sync()
    } catch (error) {
      this.#torn = true
      throw error
    }
    this.bytes += length
    this.#frame.written()
  }

  /** The file that the path leads to. */
  async #ready (): Promise<Handle> {
    if (this.#handle === undefined) return await this.#open()
    if (this.#torn) await this.#begin(this.#handle)
    const now = this.#now()
    const age = now - this.#checked
    // A clock that was set back says nothing of the time since.
    if (age >= 0 && age < checkEvery) return this.#handle
    const state = await this.#stateOf(this.#handle)
    if (state === 'moved') return await this.#open(this.#handle)
    if (state === 'emptied') await this.#begin(this.#handle)
    if (state === 'shared') this.#noteShared()
    this.#checked = now
    return this.#handle
  }

  async #stateOf (handle: Handle): Promise<'same' | 'moved' | 'emptied' | 'shared'> {
    const [own, found] = await Promise.all([handle.stat(), this.#files.stat(this.path).catch(unlessMissing)])
    if (found === undefined || own.ino !== found.ino || own.dev !== found.dev) return 'moved'
    if (own.size < this.bytes) return 'emptied'
    return own.size > this.bytes ? 'shared' : 'same'
  }

  #noteShared (): void {
    if (this.#isShared) return
    this.#isShared = true
    this.#onForeign?.()
  }

  /** The new file is open before the old one is left. */
  async #open (old?: Handle): Promise<Handle> {
    await refuseOpenFolder(dirname(this.path), this.#files)
    const handle = await this.#files.open(this.path, O_APPEND | O_CREAT | O_RDWR | O_NOFOLLOW, 0o600)
    try {
      if (!(await handle.stat()).isFile()) throw new Error(`${this.path} is no regular file: what is written there cannot be read again`)
      if (old !== undefined) await this.#leave(old)
      await this.#begin(handle)
    } catch (error) {
      await handle.close()
      this.#handle = undefined
      throw error
    }
    this.#handle = handle
    this.#isShared = false
    this.#checked = this.#now()
    return handle
  }

  /** Nothing can be done where the old file takes no more: the new one says where it ended. */
  async #leave (old: Handle): Promise<void> {
    await this.#append(old, into => this.#frame.leave(into)).catch(() => {})
    await old.close().catch(() => {})
  }

  async #begin (handle: Handle): Promise<void> {
    const { size } = await handle.stat()
    await this.#frame.begin(size, async (position, length) => {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, position)
      return buffer.subarray(0, bytesRead)
    })
    this.bytes = size
    this.#torn = false
  }
}

/** A line that was torn by a full disk or a crash is ended before the next one. */
class PlainFrame implements Frame {
  #start = ''

  async begin (size: number, read: ReadAt): Promise<void> {
    this.#start = size === 0 || (await read(size - 1, 1))[0] === 0x0a ? '' : '\n'
  }

  encode ({ bytes, ends }: Lines, _isLast: boolean, into: LineBuffer): void {
    if (ends.length === 0) return
    into.add(this.#start)
    into.copy(bytes, 0, bytes.length)
  }

  leave (): void {}

  written (): void {
    this.#start = ''
  }
}

/** Whoever may write a folder may replace the files in it, unless it is sticky as /tmp is. */
async function refuseOpenFolder (folder: string, files: Files): Promise<void> {
  const { mode } = await files.stat(folder)
  if (process.platform === 'win32' || (mode & 0o1002) !== 0o0002) return
  throw new Error(`every user of this machine can replace files in ${folder}: run \`chmod o-w\` on it`)
}

function unlessMissing (error: unknown): undefined {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
  throw error
}

type AnyFile = Pick<LineFile, 'reopen'>

const listening = new Set<AnyFile>()

function onHangup (): void {
  for (const file of listening) file.reopen()
}

/**
 * One listener for the process, as long as a file is open. With it Node does not end a process on SIGHUP any more, so a process with a
 * terminal gets none: there SIGHUP says that the terminal was closed. The path is looked at every second anyhow.
 */
function listen (file: AnyFile): void {
  if (listening.size === 0 && ![0, 1, 2].some(isatty)) process.on('SIGHUP', onHangup)
  listening.add(file)
}

function unlisten (file: AnyFile): void {
  listening.delete(file)
  if (listening.size === 0) process.off('SIGHUP', onHangup)
}
