import type { KeyObject } from 'node:crypto'
import { scheduleTimer, type Schedule } from '../async/index.ts'
import { mistake } from '../config/index.ts'
import { follow, type SecretSource } from '../secrets/index.ts'
import { Chain, NotAChainError, type Checkpoint } from './chain.ts'
import { faultOfChainKey, readChainKey } from './chain-key.ts'
import { jsonLine } from './json-line.ts'
import { LineFile, type Files } from './line-file.ts'

export interface AuditChainOptions {
  /** A private key, Ed25519 or P-256: PEM or KeyObject. */
  readonly key: SecretSource | KeyObject
  /** How many events at most are without a signature. @default 1000 */
  readonly every?: number | undefined
  /** How long an event is without a signature, in milliseconds. @default 10000 */
  readonly interval?: number | undefined
}

export interface AuditFileOptions<Document extends object = object> {
  /** The line of a document. @default its JSON */
  readonly lineOf?: ((document: Document) => string) | undefined
  /** Whether lines are made when several documents have come: none may change until then, and `lineOf` must not throw. @default false */
  readonly later?: boolean | undefined
  readonly chain?: AuditChainOptions | undefined
  /** Whether each batch waits until the disk has it. @default false */
  readonly fsync?: boolean | undefined
  readonly now?: (() => number) | undefined
  readonly schedule?: Schedule | undefined
  /** Called with each signed line, once it is in the file. To be kept elsewhere: `verify --anchor`. */
  readonly onCheckpoint?: ((checkpoint: Checkpoint) => void) | undefined
  /** Called once when another process adds to a chained file, which breaks the chains of both. */
  readonly onForeign?: (() => void) | undefined
  readonly files?: Files | undefined
}

export interface AuditFileStatus {
  readonly path: string
  readonly bytes: number
  /** The number of the chain's last link. */
  readonly seq?: number
  readonly lastCheckpoint?: Checkpoint
}

export interface AuditFile<Document extends object = object> {
  /** Adds the document as one line. Settles when it was handed to the file system, and rejects when it was not. */
  write (document: Document): Promise<void>
  /** Writes what waits, with the signed end of a chain. */
  close (): Promise<void>
  status (): AuditFileStatus
}

/**
 * Opens the file, so that what is wrong with it is known at boot.
 * @throws ConfigurationError for a key that cannot sign, and for a file that is no chain to be continued
 */
export async function openAuditFile <Document extends object> (
  path: string, options: AuditFileOptions<Document> = {}
): Promise<AuditFile<Document>> {
  const { chain, fsync, files, onForeign, lineOf = jsonLine, later = false, now = Date.now } = options
  const common = { fsync, now, files, lineOf: (document: Document | string) => typeof document === 'string' ? document : lineOf(document) }
  const prepare = later ? (document: Document) => document : lineOf
  if (chain === undefined) return await opened(path, new PlainAuditFile(new LineFile(path, common), prepare))
  const frame = new Chain({
    key: readChainKey(chain.key, 'chain.key'), every: chain.every ?? 1000, now, onCheckpoint: options.onCheckpoint
  })
  // Each signed line names its key, so that a former one has nothing to wait for.
  const signWith = ([text = '']: readonly string[]) => frame.signWith(readChainKey(text, 'chain.key'))
  follow(chain.key, { overlap: 0, fault: faultOfChainKey, changed: signWith })
  const file = new LineFile(path, { ...common, frame, onForeign })
  const { schedule = scheduleTimer } = options
  return await opened(path, new ChainedAuditFile(file, prepare, frame, chain.interval ?? 10_000, schedule))
}

async function opened <File extends { open (): Promise<void>, close (): Promise<void> }> (path: string, file: File): Promise<File> {
  try {
    await file.open()
    return file
  } catch (error) {
    await file.close().catch(() => {})
    if (!(error instanceof NotAChainError)) throw error
    throw mistake('SECURE_API_AUDIT_CHAIN_FILE', 'file', `${path} is no chain that can be continued: ${error.message}`,
      'Move it away, or name another file.')
  }
}

/** What is kept of a document until its line is made. */
type Prepare<Document> = (document: Document) => Document | string

class PlainAuditFile<Document extends object> implements AuditFile<Document> {
  protected readonly file: LineFile<Document | string>
  readonly #prepare: Prepare<Document>

  constructor (file: LineFile<Document | string>, prepare: Prepare<Document>) {
    this.file = file
    this.#prepare = prepare
  }

  open (): Promise<void> {
    return this.file.flush()
  }

  write (document: Document): Promise<void> {
    try {
      return this.file.write(this.#prepare(document))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  close (): Promise<void> {
    return this.file.close()
  }

  status (): AuditFileStatus {
    const { path, bytes } = this.file
    return { path, bytes }
  }
}

class ChainedAuditFile<Document extends object> extends PlainAuditFile<Document> {
  readonly #chain: Chain
  readonly #interval: number
  readonly #schedule: Schedule
  #cancel: (() => void) | undefined

  constructor (file: LineFile<Document | string>, prepare: Prepare<Document>, chain: Chain, interval: number, schedule: Schedule) {
    super(file, prepare)
    this.#chain = chain
    this.#interval = interval
    this.#schedule = schedule
  }

  override write (document: Document): Promise<void> {
    if ('chain' in document) return Promise.reject(new TypeError('a document of a chained file has no member `chain` of its own'))
    this.#cancel ??= this.#schedule(() => { this.#sign() }, this.#interval)
    return super.write(document)
  }

  override close (): Promise<void> {
    this.#cancel?.()
    return super.close()
  }

  override status (): AuditFileStatus {
    const { seq, lastCheckpoint } = this.#chain
    return { ...super.status(), ...(seq >= 0 && { seq }), ...(lastCheckpoint !== undefined && { lastCheckpoint }) }
  }

  #sign (): void {
    this.#cancel = undefined
    this.#chain.due = true
    // Lines that could not be written are known to those who wrote them; the next batch tries again.
    this.file.flush().catch(() => {})
  }
}
