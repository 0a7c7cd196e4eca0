import type { PackageManagerName } from './package-managers.ts'

export const languages = ['ts', 'js'] as const
export type Language = typeof languages[number]

/** What an application can have beside the rest; `apiKeys` is `--auth api-key`, each other one an option of its own. */
export const features = ['redis', 'openapi', 'apiKeys'] as const
export type Feature = typeof features[number]

/** What is to be generated. */
export interface Application {
  readonly name: string
  readonly language: Language
  readonly packageManager: PackageManagerName
  readonly features?: readonly Feature[]
}
