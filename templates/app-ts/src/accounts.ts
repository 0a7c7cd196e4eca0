import { randomBytes, scrypt, timingSafeEqual, type ScryptOptions } from 'node:crypto'
import { readFile, rename, writeFile } from 'node:fs/promises'

/** One of the accounts that may use POST /login. */
export interface Account {
  user: string
  /** Salt and hash. */
  password: string
  scopes: string[]
}

const path = process.env['ACCOUNTS_FILE'] ?? 'accounts.json'

/** The account, if the password is right. It takes as long for a user that does not exist. */
export async function signIn (user: string, password: string): Promise<Account | undefined> {
  const account = (await read()).find(account => account.user === user)
  const right = await matches(password, account?.password ?? stranger)
  return right ? account : undefined
}

/** Adds an account, or changes it, and makes up its password. */
export async function addAccount (user: string, scopes: string[]): Promise<string> {
  const password = randomBytes(18).toString('base64url')
  const others = (await read()).filter(account => account.user !== user)
  await write([...others, { user, password: await hash(password), scopes }])
  return password
}

async function read (): Promise<Account[]> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Account[]
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  }
}

async function write (accounts: Account[]): Promise<void> {
  await writeFile(`${path}.new`, `${JSON.stringify(accounts, null, 2)}\n`, { mode: 0o600 })
  await rename(`${path}.new`, path)
}

/** 16 MiB and five passes: one of the settings that OWASP's Password Storage Cheat Sheet recommends for scrypt. */
const cost: ScryptOptions = { N: 2 ** 14, r: 8, p: 5 }

async function hash (password: string, salt = randomBytes(16)): Promise<string> {
  return `${salt.toString('base64url')}.${(await derive(password, salt)).toString('base64url')}`
}

async function matches (password: string, hashed: string): Promise<boolean> {
  const [salt = '', hash = ''] = hashed.split('.')
  return timingSafeEqual(await derive(password, Buffer.from(salt, 'base64url')), Buffer.from(hash, 'base64url'))
}

async function derive (password: string, salt: Buffer): Promise<Buffer> {
  return await new Promise((resolve, reject) => {
    scrypt(password, salt, 32, cost, (error, key) => { if (error) reject(error); else resolve(key) })
  })
}

const stranger = await hash(randomBytes(18).toString('base64url'))
