import { scheduleTimer, withDeadline, type Schedule } from '../async/index.ts'
import {
  branchesOf, check, isFields, parseDuration, Problems, secretFileFault, type Environment, type Schema, type SecretReader
} from '../config/index.ts'
import { KeptSecret, READ_TIMEOUT, type SecretEvent } from './kept.ts'
import { isFromEnvironment, passwordIn } from './literal.ts'
import { explain, isSecretItself, labelOf, readPlace, SecretFailure } from './read.ts'
import { Secret } from './secret.ts'
import { isPlace, SecretPlaceSchema, type SecretPlace, type SecretProvider } from './source.ts'
import { statusOf, type SecretStatus } from './status.ts'

/** A secret that is not looked at again. */
interface Fixed {
  readonly option: string
  readonly source: string
  readonly owner?: string | undefined
}

export interface SecretsOptions {
  readonly tell: (event: SecretEvent) => void
  /** What stops the boot in production. */
  readonly warn: (code: 'SECURE_API_SECRET_FILE_MODE', option: string, why: string, fix: string) => void
  readonly now?: (() => number) | undefined
  readonly schedule?: Schedule | undefined
  readonly random?: (() => number) | undefined
}

/** One option that holds a secret. */
interface Place {
  readonly holder: Record<string, unknown>
  readonly name: string
  readonly path: string
  readonly kind: 'text' | 'url'
  readonly value: unknown
  /** Whether the schema of the option says what a place looks like. */
  readonly isChecked: boolean
}

const DAY = 86_400_000
/** The shortest and longest of the times of a place, in milliseconds. */
const ranges = { rotateEvery: [3_600_000, 365_000 * DAY], refresh: [1000, DAY], overlap: [0, 90 * DAY], lead: [0, DAY] }

/** All secrets of an application: reads them where options name them, looks at them again, and says how they stand. */
export class Secrets implements SecretReader {
  readonly #options: Required<{ [Name in keyof SecretsOptions]: NonNullable<SecretsOptions[Name]> }>
  readonly #fixed: Fixed[] = []
  readonly #kept: KeptSecret[] = []
  readonly #providers = new Set<SecretProvider>()
  readonly #failed = new WeakSet<object>()
  /** Options whose text has been judged: the suite and its plugins look at the same. */
  readonly #judged = new Set<string>()
  readonly #others: Array<() => readonly SecretStatus[]> = []

  constructor (options: SecretsOptions) {
    const { now = Date.now, schedule = scheduleTimer, random = Math.random } = options
    this.#options = { ...options, now, schedule, random }
  }

  /** Reads what the options name, all at once, and puts what it read in its place. `options` are copies of those of the application. */
  async read (schema: Schema, options: object, path: string, problems: Problems, environment: Environment): Promise<void> {
    await Promise.all(placesIn(schema, options, path).map(place => this.#read(place, problems, environment)))
  }

  /** Secrets that somebody else reads. */
  add (source: () => readonly SecretStatus[]): void {
    this.#others.push(source)
  }

  get list (): readonly KeptSecret[] {
    return this.#kept
  }

  /** Never a value. */
  status (): SecretStatus[] {
    const now = this.#options.now()
    return [...this.#fixed, ...this.#kept].map(secret => statusOf(secret, now)).concat(this.#others.flatMap(source => source()))
      .sort((a, b) => a.option < b.option ? -1 : 1)
  }

  start (): void {
    for (const secret of this.#kept) secret.start()
  }

  /** Never rejects: a provider that cannot close does not keep the application open. */
  async close (): Promise<void> {
    for (const secret of this.#kept) secret.close()
    await Promise.all([...this.#providers].map(async provider => { await provider.close?.() })
      .map(closing => withDeadline(closing, { ms: READ_TIMEOUT, late: () => new Error('late') }).catch(() => {})))
  }

  async #read (place: Place, problems: Problems, environment: Environment): Promise<void> {
    const { value, path, kind } = place
    if (value instanceof KeptSecret || (typeof value === 'object' && value !== null && this.#failed.has(value))) return
    if (typeof value === 'string' || value instanceof Secret) {
      if (this.#judged.has(path)) return
      this.#judged.add(path)
      if (typeof value === 'string') this.#judgeText(value, kind, path, problems, environment)
      else this.#fixed.push({ option: path, source: value.source, owner: value.owner })
      return
    }
    const stated = readable(place, problems)
    if (stated !== undefined) await this.#keep(place, stated, problems, environment)
  }

  #judgeText (text: string, kind: Place['kind'], path: string, problems: Problems, environment: Environment): void {
    const secret = kind === 'url' ? passwordIn(text) : text
    if (secret === undefined || secret.trim() === '') return
    const isLiteral = !isFromEnvironment(secret) && !isFromEnvironment(text)
    this.#fixed.push({ option: path, source: isLiteral ? 'literal' : 'environment' })
    if (!isLiteral || environment !== 'production') return
    problems.add('SECURE_API_SECRET_LITERAL', path, 'the value is written in the source, and whoever can read that has it',
      "Write { env: 'NAME' } or { file: '/run/secrets/name' }; for a value that the application fetched itself, new Secret(value).")
  }

  async #keep ({ holder, name, path, value }: Place, place: SecretPlace, problems: Problems, environment: Environment): Promise<void> {
    if ('file' in place) this.#checkMode(path, place.file, environment === 'production' ? problems : undefined)
    const { now, schedule, random } = this.#options
    const controller = new AbortController()
    const late = () => new SecretFailure(`no answer within ${READ_TIMEOUT} ms`)
    try {
      const first = await withDeadline(readPlace(place, controller.signal, now()), { ms: READ_TIMEOUT, late, controller, schedule })
      const tell = (event: SecretEvent) => {
        if ('file' in place && event.type === 'changed') this.#checkMode(path, place.file)
        this.#options.tell(event)
      }
      const secret = new KeptSecret({ option: path, place, first, tell, now, schedule, random })
      this.#kept.push(secret)
      holder[name] = secret
      if ('provider' in place) this.#providers.add(place.provider)
    } catch (error) {
      this.#failed.add(value as object)
      const where = isSecretItself(place) ? '' : ` at ${labelOf(place)}`
      problems.add('SECURE_API_SECRET_UNAVAILABLE', path, `there is no secret${where}: ${explain(error)}`,
        'Check that it is there, and that this process may read it.')
    }
  }

  #checkMode (path: string, file: string, problems?: Problems): void {
    const fault = secretFileFault(file)
    if (fault === undefined) return
    if (problems === undefined) this.#options.warn('SECURE_API_SECRET_FILE_MODE', path, `its file: ${fault.why}`, fault.fix)
    else problems.add('SECURE_API_SECRET_FILE_MODE', path, `its file: ${fault.why}`, fault.fix)
  }
}

/** The place that an option states, without what it inherits; undefined where it states none that could be read. */
function readable ({ value, path, isChecked }: Place, problems: Problems): SecretPlace | undefined {
  if (!isPlace(value)) return undefined
  const own: object = Object.assign(Object.create(null), value)
  const found = new Problems()
  check(SecretPlaceSchema, own, path, found)
  if (!found.any) checkPlace(own as SecretPlace, path, found)
  // What a schema knows, its section reports.
  const ours: readonly string[] = ['SECURE_API_OPTION_RANGE', 'SECURE_API_SECRET_PROVIDER']
  for (const { code, path, why, fix } of found.list()) if (!isChecked || ours.includes(code)) problems.add(code, path, why, fix)
  return found.any ? undefined : own as SecretPlace
}

function checkPlace (place: SecretPlace, path: string, problems: Problems): void {
  if ('provider' in place) {
    const { name, read }: Partial<Record<keyof SecretProvider, unknown>> = Object(place.provider)
    if (typeof name !== 'string' || typeof read !== 'function') {
      problems.add('SECURE_API_SECRET_PROVIDER', `${path}.provider`, 'it has no `name`, or no function `read`',
        'Give an object with both: { name: \'vault\', read: async (name, signal) => ({ value }) }.')
    }
  }
  for (const [option, [least = 0, most = Infinity]] of Object.entries(ranges)) {
    const stated = place[option as keyof typeof ranges]
    const ms = stated === undefined ? least : parseDuration(stated) ?? least
    if (ms >= least && ms <= most) continue
    problems.add('SECURE_API_OPTION_RANGE', `${path}.${option}`, `${ms} milliseconds are out of range`,
      `Give ${least} to ${most} milliseconds.`)
  }
}

/** Every option of the schema that holds a secret, and is stated. */
function placesIn (schema: Schema, value: unknown, path: string): Place[] {
  const branches = branchesOf(schema)
  if (Array.isArray(value)) {
    const items = branches.find(({ type }) => type === 'array')?.items
    return items === undefined ? [] : value.flatMap((item, index) => placesIn(items, item, `${path}[${index}]`))
  }
  if (!isFields(value)) return []
  const holder = value as Record<string, unknown>
  return branches.flatMap(({ properties = {} }) => Object.entries(properties)).flatMap(([name, member]) => {
    const at = path === '' ? name : `${path}.${name}`
    const { [name]: stated } = holder
    if (stated === undefined) return []
    if (member.secretSource === undefined) return placesIn(member, stated, at)
    const isChecked = branchesOf(member).some(({ type }) => type === 'object')
    return [{ holder, name, path: at, kind: member.secretSource === 'url' ? 'url' : 'text', value: stated, isChecked }]
  })
}
