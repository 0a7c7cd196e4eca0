import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Ajv } from 'ajv'
import t from 'tap'
import { bomOf, gapsOf, licensesOf, type Bom } from '../scripts/sbom.ts'

interface Entry {
  readonly version: string
  readonly dev?: boolean
  readonly devOptional?: boolean
}

const root = fileURLToPath(new URL('..', import.meta.url))
const json = (path: string) => JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')) as object
const schema = (name: string) => json(`../node_modules/@cyclonedx/cyclonedx-library/res/schema/${name}.SNAPSHOT.schema.json`)
const { bom, manifest } = bomOf(root)

t.test('19: the bill of materials has what is installed with the package, and nothing else', async t => {
  const { packages } = json('../package-lock.json') as { packages: Record<string, Entry> }
  const installed = Object.entries(packages).filter(([path, { dev, devOptional }]) => path !== '' && dev !== true && devOptional !== true)
  t.strictSame(bom.components.map(component => component['bom-ref']).sort(),
    installed.map(([path, { version }]) => `${path.replace(/^.*node_modules\//, '')}@${version}`).sort())
  // What `npm sbom --omit dev` leaves out.
  for (const name of ['helmet', 'fastify-plugin', 'find-my-way']) t.ok(bom.components.some(component => component.name === name), name)
  t.strictSame(gapsOf(bom, manifest), [])
  t.ok(bom.components.every(component => licensesOf(component).length > 0))
})

t.test('19: the bill of materials is CycloneDX', async t => {
  const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false })
  for (const name of ['spdx', 'jsf-0.82']) ajv.addSchema(schema(name), `http://cyclonedx.org/schema/${name}.SNAPSHOT.schema.json`)
  const validate = ajv.compile(schema('bom-1.5'))
  t.ok(validate(bom), JSON.stringify(validate.errors))
  t.notOk(validate({ ...bom, components: [{ type: 'library' }] }), 'one without names is seen')
  const { version } = manifest
  t.match(bom.metadata.component, { name: 'fastify-secure-api', version, purl: `pkg:npm/fastify-secure-api@${version}` })
})

t.test('19: the same lockfile gives the same bill of materials', async t => {
  t.strictSame(bomOf(root).bom, bom)
  t.match(bom.serialNumber, /^urn:uuid:[\da-f]{8}-[\da-f]{4}-8[\da-f]{3}-8[\da-f]{3}-[\da-f]{12}$/)
})

t.test('19: what a bill of materials lacks is told', async t => {
  const [component] = bom.components
  if (component === undefined) throw new Error('no component')
  const { purl, hashes, licenses, ...bare } = component
  const poor: Bom = { ...bom, components: [bare, ...bom.components.slice(2)] }
  t.strictSame(gapsOf(poor, { ...manifest, dependencies: { nowhere: '^1.0.0' } }), ['nowhere: no component',
    ...['purl', 'SHA-512', 'licence'].map(what => `${component['bom-ref']}: no ${what}`)])
})
