import type { PackageManagerName } from './package-managers.ts'

export const languages = ['ts', 'js'] as const
export type Language = typeof languages[number]

/** What is to be generated. */
export interface Application {
  readonly name: string
  readonly language: Language
  readonly packageManager: PackageManagerName
}
