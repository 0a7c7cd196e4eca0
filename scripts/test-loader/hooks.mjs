import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { isTypeScript, stripped } from './stripped.mjs'

export async function load (url, context, next) {
  if (!isTypeScript(url)) return await next(url, context)
  return { format: 'module', source: stripped(url, readFileSync(fileURLToPath(url), 'utf8')), shortCircuit: true }
}
