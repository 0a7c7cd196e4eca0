import { basename, resolve } from 'node:path'
import { versions } from './versions.ts'

/** npm refuses these as names. */
const reserved = new Set(['node_modules', 'favicon.ico'])
/** A package cannot depend on one of its own name. */
const taken = new Set(['fastify-secure-api', ...Object.values(versions).flatMap(group => Object.keys(group))])
const LONGEST = 214

const part = /^[a-z0-9~-][a-z0-9._~-]*$/

/** Whether npm takes it as the name of a new package, scoped or not. */
export function isPackageName (name: string): boolean {
  const parts = name.startsWith('@') ? name.slice(1).split('/') : [name]
  const wanted = name.startsWith('@') ? 2 : 1
  return parts.length === wanted && parts.every(text => part.test(text)) && name.length <= LONGEST && !reserved.has(name) &&
    !taken.has(name)
}

/** A name that npm takes, from whatever the folder is called. */
export function nameOf (folder: string): string {
  const name = basename(resolve(folder)).normalize('NFKD').toLowerCase()
    .replace(/[^a-z0-9._~-]+/g, '-').replace(/^[._-]+|[._-]+$/g, '').slice(0, LONGEST - '-app'.length)
  if (name === '') return 'my-api'
  return isPackageName(name) ? name : `${name}-app`
}

/** The prefix of API keys: 2 to 16 lower case letters and digits, a letter first. */
export function keyPrefix (name: string): string {
  const text = shortName(name).replace(/[^a-z0-9]/g, '').replace(/^\d+/, '').slice(0, 16)
  return text.length < 2 ? 'api' : text
}

/** The name without its scope: for an audience, an image. */
export function shortName (name: string): string {
  return name.slice(name.indexOf('/') + 1)
}
