import { readFileSync } from 'node:fs'

/** A value of the environment, or of the file that `NAME_FILE` names. Empty counts as not set. */
export function setting (name) {
  const file = process.env[`${name}_FILE`]
  const value = file ? readFileSync(file, 'utf8') : process.env[name]
  return value?.trim() || undefined
}

/** The same, where nothing works without it. */
export function required (name) {
  const value = setting(name)
  if (value === undefined) throw new Error(`${name} is not set; .env.example says what it is for`)
  return value
}

/** Values that are separated by commas; false where there are none. */
export function list (name) {
  const values = (setting(name) ?? '').split(',').map(value => value.trim()).filter(value => value !== '')
  return values.length > 0 && values
}

/** `{{run}} dev` sets it. Anything else, and nothing at all, means production. */
export const developing = process.env['NODE_ENV'] === 'development'
