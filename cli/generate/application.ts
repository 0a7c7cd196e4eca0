import type { PackageManagerName } from './package-managers.ts'

export const languages = ['ts', 'js'] as const
export type Language = typeof languages[number]

/** What an application can have beside the rest; each is an option of the command. */
export const features = ['redis', 'openapi'] as const
export type Feature = typeof features[number]

/** What is to be generated. */
export interface Application {
  readonly name: string
  readonly language: Language
  readonly packageManager: PackageManagerName
  readonly features?: readonly Feature[]
}
