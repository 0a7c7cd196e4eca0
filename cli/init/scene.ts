import type { Findings } from './findings.ts'
import type { Layout } from './layout.ts'
import type { Sources } from './sources.ts'
import type { Stock } from './types.ts'

/** What all parts of the plan look at, and write to. */
export interface Scene {
  readonly stock: Stock
  readonly sources: Sources
  readonly findings: Findings
  readonly layout: Layout
  /** Whether the application signs tokens. */
  readonly signs: boolean
  /** Whether it has tokens that the suite can check. */
  readonly tokens: boolean
}
