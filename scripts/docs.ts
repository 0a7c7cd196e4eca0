import { writeFileSync } from 'node:fs'
import { errorsPage } from './errors-page.ts'
import { providersPage } from './providers-page.ts'
import { referencePage } from './reference-page.ts'

/** Writes the generated pages; run it from the root of the project. */
writeFileSync('docs/errors.md', errorsPage())
writeFileSync('docs/reference.md', referencePage('.'))
writeFileSync('docs/providers.md', providersPage())
