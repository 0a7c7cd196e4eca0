import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Change } from './sources.ts'

/** Writes what the diff shows. */
export function apply (changes: readonly Change[]): void {
  for (const { file, after } of changes) {
    if (after === undefined) rmSync(file)
    else {
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, after)
    }
  }
}
