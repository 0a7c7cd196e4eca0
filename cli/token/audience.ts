import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { environmentVariables } from '../../lib/config/index.ts'
import { DEVELOPMENT_AUDIENCE } from '../../testing/development.ts'
import type { DevelopmentStore } from '../../testing/development-store.ts'
import type { Terminal } from '../command.ts'

/**
 * Who a token is for where the command does not say so: what the application would read from its environment or its
 * `.env`, then what it asked `developmentIssuer()` for when it started last.
 */
export async function audienceFor (directory: string, store: DevelopmentStore, { env }: Pick<Terminal,
  'env'>): Promise<string | readonly string[]> {
  const configured = env[environmentVariables.audience] ?? await fromFile(join(directory, '.env'))
  return listed(configured) ?? await store.audience() ?? DEVELOPMENT_AUDIENCE
}

async function fromFile (path: string): Promise<string | undefined> {
  const text = await readFile(path, 'utf8').catch(() => '')
  return parseEnv(text)[environmentVariables.audience]
}

/** As the suite reads the variable: names separated by commas. */
function listed (text: string | undefined): string | readonly string[] | undefined {
  const names = (text ?? '').split(',').map(name => name.trim()).filter(name => name !== '')
  return names.length > 1 ? names : names[0]
}
