import { quoted } from './rules.ts'
import { variables } from './token-options.ts'
import { rendered, type ValueObject } from './value.ts'

/** How the file is to be written. */
export interface Style {
  readonly typescript: boolean
  readonly modules: 'esm' | 'commonjs'
  /** Whether the application has fastify-plugin. */
  readonly fastifyPlugin: boolean
  readonly semicolons: boolean
}

const named: Readonly<Record<string, string>> = {
  issuer: 'SECURE_API_ISSUER',
  audience: 'SECURE_API_AUDIENCE',
  privateKey: 'SECURE_API_PRIVATE_KEY'
}

/** The plugin file: registers the suite with its configuration. */
export function pluginFile (options: ValueObject, style: Style, notes: readonly string[]): string {
  const end = style.semicolons ? ';' : ''
  const used = Object.keys(named).filter(name => tells(options, name))
  return [
    ...imports(style).map(line => line && `${line}${end}`),
    '',
    ...comment(['Everything that guards this API.', ...notes]),
    `async function secured (app${style.typescript ? ': FastifyInstance' : ''}) {`,
    ...(used.length === 0 ? [] : required(used, end)),
    `  await app.register(secureApi, ${rendered(options, '  ')})${end}`,
    '}',
    '',
    `${exported(style)}${end}`,
    ''
  ].join('\n')
}

function comment ([first = '', ...more]: readonly string[]): string[] {
  return more.length === 0 ? [`/** ${first} */`] : ['/**', ...[first, ...more].map(line => ` * ${line}`), ' */']
}

function tells (value: unknown, code: string): boolean {
  if (typeof value !== 'object' || value === null) return false
  if ('$code' in value) return value.$code === code
  return Object.values(value).some(member => tells(member, code))
}

/** Stops the boot with all that is missing, by name. */
function required (names: readonly string[], end: string): string[] {
  const list = names.map(name => named[name] ?? name)
  const words = list.map(name => `${name} (${variables[name] ?? ''})`).join(', ')
  return [
    `  const { ${names.map(name => `${named[name] ?? name}: ${name}`).join(', ')} } = process.env${end}`,
    `  if (${names.map(name => `!${name}`).join(' || ')}) {`,
    `    throw new Error(${quoted(`Set ${words}`)})${end}`,
    '  }'
  ]
}

function imports ({ typescript, modules, fastifyPlugin }: Style): string[] {
  if (modules === 'commonjs' && !typescript) {
    const required = ["const secureApi = require('fastify-secure-api')", ...(fastifyPlugin ? ["const fp = require('fastify-plugin')"] : [])]
    return ["'use strict'", '', ...required]
  }
  return [
    ...(typescript ? ["import type { FastifyInstance } from 'fastify'"] : []),
    ...(fastifyPlugin ? ["import fp from 'fastify-plugin'"] : []),
    "import secureApi from 'fastify-secure-api'"
  ]
}

/** Not encapsulated: the suite guards the whole application. */
function exported ({ typescript, modules, fastifyPlugin }: Style): string {
  const plugin = fastifyPlugin ? "fp(secured, { name: 'secured' })" : "Object.assign(secured, { [Symbol.for('skip-override')]: true })"
  return modules === 'commonjs' && !typescript ? `module.exports = ${plugin}` : `export default ${plugin}`
}
