import { writeFileSync } from 'node:fs'
import { phases } from '../lib/pipeline/index.ts'
import { architecturePage, architecturePicture } from './architecture-page.ts'
import { errorsPage } from './errors-page.ts'
import { frame } from './frame.ts'
import { providersPage } from './providers-page.ts'
import { referencePage } from './reference-page.ts'
import { requestPicture } from './request-picture.ts'
import { routeSchema } from './route-schema.ts'

/** Writes the generated pages; run it from the root of the project. */
const { controls, schema } = await frame()
writeFileSync('docs/errors.md', errorsPage())
writeFileSync('docs/reference.md', referencePage('.'))
writeFileSync('docs/providers.md', providersPage())
writeFileSync('docs/architecture.md', architecturePage('docs/architecture.md'))
writeFileSync('docs/images/architecture.svg', architecturePicture('.', phases, controls))
writeFileSync('docs/images/request.svg', requestPicture(phases))
writeFileSync('docs/route-config.schema.json', routeSchema(schema))
