import { existsSync, realpathSync, statSync } from 'node:fs'
import { chmod, chown, open, rename, rm, writeFile } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { basename, dirname } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { readKeyFile, type ApiKeyRecord } from '../../lib/api-keys/index.ts'
import { Problems } from '../../lib/config/index.ts'
import { UsageError } from '../command.ts'

type Records = readonly ApiKeyRecord[]

/** The records of a file. Throws what is wrong with it. */
export function recordsIn (file: string): Records {
  if (!existsSync(file)) throw new UsageError(`there is no file ${file}; \`secure-api key create\` makes it`)
  const problems = new Problems()
  const records = readKeyFile(file, basename(file), problems)
  problems.throwIfAny()
  return records
}

interface EditOptions {
  /** Whether a file that is not there is made. */
  readonly make?: boolean
  /** How often to look whether another command has ended, every 50 ms. */
  readonly tries?: number
}

/** Changes the records of a file. Commands that run at the same time wait for each other, so that no change is lost. */
export async function editKeyFile <Result> (
  given: string, change: (records: Records) => readonly [Records, Result], { make = false, tries = 100 }: EditOptions = {}
): Promise<Result> {
  // What a link points to is replaced, not the link.
  const file = existsSync(given) ? realpathSync(given) : given
  return await locked(file, tries, async () => {
    const isNew = make && !existsSync(file)
    const [records, result] = change(isNew ? [] : recordsIn(file))
    await replace(file, `${JSON.stringify({ keys: records }, undefined, 2)}\n`)
    return result
  })
}

async function locked <Result> (file: string, tries: number, work: () => Promise<Result>): Promise<Result> {
  const lock = `${file}.lock`
  for (let left = tries; !await isMade(lock); left--) {
    if (left === 0) throw new Error(`another command is changing ${file}. If none is running, remove ${lock}`)
    await wait(50)
  }
  try {
    return await work()
  } finally {
    await rm(lock, { force: true })
  }
}

async function isMade (lock: string): Promise<boolean> {
  try {
    await (await open(lock, 'wx', 0o600)).close()
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw codeOf(error) === 'ENOENT' ? new UsageError(`there is no folder ${dirname(lock)}`) : error
  }
}

/** At once, so that no reader sees half of it, and readable for whoever could read it before: the server may be another user. */
async function replace (file: string, text: string): Promise<void> {
  const other = `${file}.${randomBytes(6).toString('hex')}`
  try {
    await writeFile(other, text, { mode: 0o600, flag: 'wx' })
    if (existsSync(file)) await takeOver(file, other)
    await rename(other, file)
  } catch (error) {
    await rm(other, { force: true })
    throw error
  }
}

async function takeOver (file: string, other: string): Promise<void> {
  const [{ uid, gid, mode }, made] = [statSync(file), statSync(other)]
  if (uid !== made.uid || gid !== made.gid) {
    await chown(other, uid, gid).catch(() => {
      throw new Error(`${file} belongs to another user or group, who could not read it any more. Run this command as that user.`)
    })
  }
  // Others who could write it could let anybody in: the server refuses such a file.
  await chmod(other, mode & 0o755)
}

function codeOf (error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
