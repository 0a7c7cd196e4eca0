import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { scheduleTimer, type Schedule } from '../async/index.ts'
import { isPem, unescapedPem } from '../server/index.ts'
import { readTrust, type Trust, type TrustFault, type TrustTexts } from './trust.ts'

/** `clientCertificates` of `app.secureApi.status()`. */
export interface TrustStatus {
  /** The files hold what counts. */
  readonly ok: boolean
  /** How many serial numbers are revoked. */
  readonly revoked: number
  /** Why what the files hold does not count; the earlier content does. */
  readonly fault?: string
}

interface Options {
  /** Paths of files, or PEM text. */
  readonly sources: TrustTexts
  /** Told of each change, and of each new fault. */
  readonly tell: (status: TrustStatus) => void
  readonly schedule?: Schedule | undefined
}

/** How often the files are read, in milliseconds. */
const PERIOD = 10_000

/** Authorities and revocation lists from files, read again by content: neither links nor mounts change a file time reliably. */
export class TrustFiles {
  readonly #options: Options
  readonly #schedule: Schedule
  #cancel: (() => void) | undefined
  #texts: TrustTexts
  #trust: Trust
  #fault: string | undefined

  /** Throws a {@link TrustError} where a file cannot be used. */
  constructor (options: Options) {
    this.#options = options
    this.#schedule = options.schedule ?? scheduleTimer
    this.#texts = readNow(options.sources)
    this.#trust = trustOf(this.#texts)
  }

  get trust (): Trust {
    return this.#trust
  }

  status (): TrustStatus {
    const lists = [...this.#trust.lists?.values() ?? []]
    const revoked = lists.reduce((sum, { serials }) => sum + serials.size, 0)
    return { ok: this.#fault === undefined, revoked, ...(this.#fault !== undefined && { fault: this.#fault }) }
  }

  start (): void {
    if (Object.values(this.#options.sources).some(source => source !== undefined && !isPem(source))) this.#again()
  }

  stop (): void {
    this.#cancel?.()
    this.#cancel = undefined
  }

  #again (): void {
    this.#cancel = this.#schedule(() => this.#look(), PERIOD)
  }

  async #look (): Promise<void> {
    const before = this.#fault
    const trust = this.#trust
    await this.#refresh()
    if (this.#cancel === undefined) return
    if (before !== this.#fault || trust !== this.#trust) this.#options.tell(this.status())
    this.#again()
  }

  /** What cannot be used never replaces what counts. */
  async #refresh (): Promise<void> {
    try {
      const texts = await readAgain(this.#options.sources)
      const isSame = texts.ca === this.#texts.ca && texts.crl === this.#texts.crl
      if (!isSame) [this.#trust, this.#texts] = [trustOf(texts), texts]
      this.#fault = undefined
    } catch (error) {
      this.#fault = error instanceof TrustError ? error.fault.why : 'a file is unreadable'
    }
  }
}

/** Carries what is wrong; nothing of a file's content. */
export class TrustError extends Error {
  readonly fault: TrustFault

  constructor (fault: TrustFault) {
    super(fault.why)
    this.fault = fault
  }
}

function trustOf (texts: TrustTexts): Trust {
  const trust = readTrust(texts)
  if ('part' in trust) throw new TrustError(trust)
  return trust
}

function readNow ({ ca, crl }: TrustTexts): TrustTexts {
  return { ca: ca === undefined ? undefined : textNow('ca', ca), crl: crl === undefined ? undefined : textNow('crl', crl) }
}

function textNow (part: TrustFault['part'], source: string): string {
  try {
    return isPem(source) ? unescapedPem(source) : readFileSync(source, 'utf8')
  } catch {
    throw new TrustError({ part, why: 'the file is unreadable' })
  }
}

async function readAgain ({ ca, crl }: TrustTexts): Promise<TrustTexts> {
  return { ca: await textOf(ca), crl: await textOf(crl) }
}

async function textOf (source: string | undefined): Promise<string | undefined> {
  if (source === undefined) return undefined
  return isPem(source) ? unescapedPem(source) : await readFile(source, 'utf8')
}
