import { readFileSync } from 'node:fs'

/** A value of the environment, or of the file that `NAME_FILE` names. Empty counts as not set. */
export function setting (name: string): string | undefined {
  const file = process.env[`${name}_FILE`]
  const value = file ? readFileSync(file, 'utf8') : process.env[name]
  return value?.trim() || undefined
}

/** Where a secret is: in a variable, or in the file that `NAME_FILE` names, whose next value is used without a restart. */
export function secret (name: string): { env: string } | { file: string } | undefined {
  const file = process.env[`${name}_FILE`]
  if (file) return { file }
  return setting(name) === undefined ? undefined : { env: name }
}

/** A setting without which nothing works. */
export function required (name: string): string {
  const value = setting(name)
  if (value === undefined) throw new Error(`not set: ${name}; .env.example says what it is for`)
  return value
}

/** All that production needs and that is not set, by name: nobody should find out one start after the other. */
export function checkSettings (): void {
  if (developing || process.env['NODE_ENV'] === 'test') return
  const needed = ['TRUST_PROXY']
  needed.unshift('SECURE_API_ISSUER') // if noApiKeys
  needed.push('SECURE_API_REDIS_URL') // if redis
  if (setting('LOGIN_KEY') !== undefined) needed.push('PUBLIC_URL')
  const missing = needed.filter(name => setting(name) === undefined)
  if (missing.length > 0) throw new Error(`not set: ${missing.join(', ')}; .env.example says what each is for`)
}

/** Values that are separated by commas; false where there are none. */
export function list (name: string): string[] | false {
  const values = (setting(name) ?? '').split(',').map(value => value.trim()).filter(value => value !== '')
  return values.length > 0 && values
}

/** `{{run}} dev` sets it. Anything else, and nothing at all, means production. */
export const developing = process.env['NODE_ENV'] === 'development'
