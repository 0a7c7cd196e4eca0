import t from 'tap'
import { installPackage } from './compiler.ts'

/** What `@fastify/type-provider-typebox` is, which is not installed here. */
const typebox = `import { Type, type Static, type TSchema } from '@sinclair/typebox'
import type { FastifyTypeProvider } from 'fastify'
export { Type, type Static }
export interface TypeProvider extends FastifyTypeProvider {
  validator: this['schema'] extends TSchema ? Static<this['schema']> : unknown
  serializer: this['schema'] extends TSchema ? Static<this['schema']> : unknown
}
`

/** An empty project that has the package. */
export const folder = t.testdir({ 'package.json': '{ "type": "module" }', 'typebox.ts': typebox })
installPackage(folder)
